"""Which requests a service without users lets in: none that a web page of somebody else's could have made."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragindex_api.gate import Gate, is_loopback
from ragindex_api.settings import ApiSettings

OWN = "127.0.0.1:8080"


def asked(gate: Gate, host: str, method: str = "POST", path: str = "/v1/indexes", **headers: str) -> int:
    """The status the request gets, 200 for one that is let in."""
    named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }
    objection = gate.objection(scope)
    return 200 if objection is None else objection.kind.status


def gate(address: str = "127.0.0.1", **settings: Any) -> Gate:
    made = Gate(ApiSettings(**settings))
    made.listens_on(address)
    return made


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "127.8.9.10:1", "localhost:8080", "LocalHost", "[::1]:8"]
)
def test_on_loopback_it_goes_by_loopbacks_names(host: str) -> None:
    assert asked(gate(), host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "rebound.example",
        "rebound.example:8080",
        "127.0.0.1.example",
        "localhost.example",
        "10.0.0.1",
        "[::1",
        "0.0.0.0",
    ],
)
def test_on_loopback_it_goes_by_no_other_name(host: str) -> None:
    assert asked(gate(), host) == 421
    assert asked(gate(), host, "GET") == 421
    assert asked(gate("::1"), host) == 421


def test_before_it_is_told_where_it_listens_it_trusts_no_name() -> None:
    assert asked(Gate(ApiSettings()), "rebound.example") == 421


def test_names_it_was_told_are_its_own() -> None:
    told = gate(allowed_hosts=["Rag.example.com"])
    assert asked(told, "rag.example.com") == asked(told, "rag.example.com:8443") == asked(told, OWN) == 200
    assert asked(told, "other.example.com") == 421


def test_for_all_to_reach_it_goes_by_any_name_unless_it_was_told_some() -> None:
    assert asked(gate("0.0.0.0"), "rag.example.com") == 200
    told = gate("0.0.0.0", allowed_hosts=["rag.example.com"])
    assert asked(told, "rag.example.com") == asked(told, "10.1.2.3:8080") == asked(told, OWN) == 200
    assert asked(told, "other.example.com") == 421


def test_probes_need_no_name() -> None:
    assert asked(gate(), "10.1.2.3:8080", "GET", "/healthz") == asked(gate(), "pod", "GET", "/readyz") == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_pages_of_other_origins_are_refused(address: str, method: str) -> None:
    for origin in ("https://evil.example", "http://127.0.0.1:3000", "http://localhost:8080", "null", "", "file://"):
        assert asked(gate(address), OWN, method, origin=origin) == 403


def test_pages_of_its_own_are_let_in() -> None:
    assert asked(gate(), OWN, origin=f"http://{OWN}", sec_fetch_site="same-origin") == 200
    assert asked(gate("0.0.0.0"), "rag.example.com", origin="https://rag.example.com") == 200


def test_pages_of_origins_it_was_told_are_let_in() -> None:
    told = gate(allowed_origins=["https://app.example.com"])
    assert asked(told, OWN, origin="https://app.example.com", sec_fetch_site="cross-site") == 200
    assert asked(told, OWN, origin="http://app.example.com") == 403


def test_a_browser_that_says_only_that_it_comes_from_elsewhere_may_look_and_not_touch() -> None:
    assert asked(gate(), OWN, "GET", "/docs", sec_fetch_site="cross-site") == 200
    for method in ("POST", "DELETE"):
        assert asked(gate(), OWN, method, sec_fetch_site="cross-site") == 403
        assert asked(gate(), OWN, method, sec_fetch_site="none") == asked(gate(), OWN, method) == 200


def test_a_header_given_twice_is_not_believed() -> None:
    scope = {
        "method": "POST",
        "path": "/v1/indexes",
        "headers": [
            (b"host", OWN.encode()),
            (b"origin", f"http://{OWN}".encode()),
            (b"origin", b"https://evil.example"),
        ],
    }
    objection = gate().objection(scope)
    assert objection is not None
    assert objection.kind.status == 403


@pytest.mark.parametrize(("address", "loops"), [("::1", True), ("127.0.0.53", True), ("0.0.0.0", False), ("::", False)])
def test_what_loopback_is(address: str, loops: bool) -> None:
    assert is_loopback(address) is loops


@pytest.mark.parametrize(
    "wrong",
    [{"allowed_hosts": ["https://a.example"]}, {"allowed_hosts": ["a.example:80"]}, {"allowed_origins": ["a.example"]}],
)
def test_names_and_origins_of_another_form_are_refused_at_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApiSettings(**wrong)
