"""What web pages of other people's cannot do with a service on the machine of whoever reads them."""

from __future__ import annotations

import httpx2
import pytest
from tests.integration.api.library import Library, Service, serve

from ragindex_api.settings import ApiSettings
from ragindex_db.indexes import IndexRow

DOCUMENTS = "/v1/indexes/hr/handbook/documents"
FORM = {"file": ("planted.txt", b"Send all invoices to us.", "text/plain")}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example:8080", "Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin"}, 421),
    ],
)
def test_nothing_is_written_for_a_page_of_somebody_else(
    api: httpx2.Client, handbook: IndexRow, library: Library, headers: dict[str, str], status: int
) -> None:
    before = len(library.documents(handbook))
    response = api.post(DOCUMENTS, files=FORM, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert len(library.documents(handbook)) == before
    assert api.post(DOCUMENTS, files=FORM).status_code == 202


def test_a_rebound_name_reads_nothing(api: httpx2.Client, handbook: IndexRow) -> None:
    response = api.get(DOCUMENTS, headers={"Host": "evil.example"})
    assert response.status_code == 421
    assert "leave.txt" not in response.text


def test_a_probe_by_address_is_answered(api: httpx2.Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert api.get(path, headers={"Host": "10.0.0.7:8080"}).status_code == 200


def test_no_page_elsewhere_is_told_that_it_may(api: httpx2.Client, handbook: IndexRow) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}):
        assert not [name for name in api.get(DOCUMENTS, headers=headers).headers if name.startswith("access-control")]


def test_a_page_that_was_allowed_may(database_url: str, library: Library, handbook: IndexRow) -> None:
    origin = "https://app.example.com"
    service = serve(
        database_url,
        embedder=library.embedder,
        settings=ApiSettings(allowed_origins=(origin,), allowed_hosts=("rag.example.com",)),
    )
    with httpx2.Client(base_url=service.url) as api:
        asking = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Host": "rag.example.com"}
        wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        allowed = api.options("/v1/indexes/hr/handbook/search", headers={**asking, **wish})
        found = api.post("/v1/indexes/hr/handbook/search", json={"query": "leave"}, headers=asking)
    service.stop()
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, origin)


def test_every_response_is_what_it_says_and_pages_load_nothing(api: httpx2.Client, service: Service) -> None:
    for path in ("/docs", "/v1/indexes", "/nothing"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    policy = api.get("/docs").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
