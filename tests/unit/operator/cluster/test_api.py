"""Each answer of the API server is what it means to the operator, and nothing else knows the Kubernetes client."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from ragindex_core.errors import Misconfigured
from ragindex_operator.cluster import api
from ragindex_operator.cluster.connection import Answer, Connection

OPERATOR = Path(__file__).parents[4] / "operator"
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: test, user: {token: TOKEN}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
"""


class ScriptedConnection(Connection):
    """Gives the answers it was made with, one after the other."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], Any, str]] = []
        self.renewed = 0

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content_type: str = "application/json"
    ) -> Answer:
        self.asked.append((method, path, dict(query), body, content_type))
        return self.answers.pop(0)

    def renew(self) -> None:
        self.renewed += 1


def answer(status: int, body: Any, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


def status(code: int, reason: str = "", **more: Any) -> Answer:
    return answer(code, {"kind": "Status", "code": code, "reason": reason, "message": "because", **more})


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (status(404, "NotFound"), api.NotThere),
        (status(403, "Forbidden"), api.Forbidden),
        (status(409, "AlreadyExists"), api.AlreadyExists),
        (status(409, "Conflict"), api.Conflict),
        (status(410, "Expired"), api.Expired),
        (status(422, "Invalid", details={"causes": [{"field": "spec"}]}), api.Refused),
        (status(422, "Invalid", details={}), api.Conflict),
        (status(400, "BadRequest"), api.Refused),
        (status(500, "InternalError"), api.ApiUnavailable),
        (status(503, "ServiceUnavailable"), api.ApiUnavailable),
        (Answer(502, {}, b"<html>a gateway</html>"), api.ApiUnavailable),
        (Answer(404, {}, b"404 page not found"), api.NotThere),
    ],
)
def test_each_status_is_an_exception_of_its_own(given: Answer, refusal: type[Exception]) -> None:
    with pytest.raises(refusal) as caught:
        api.KubeApi(ScriptedConnection(given)).get("/some/path")
    assert type(caught.value) is refusal
    assert "/some/path" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (answer(429, {}, Retry_After="7"), 7),
        (status(429, "TooManyRequests", details={"retryAfterSeconds": 3}), 3),
        (answer(503, {}, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (status(503), None),
    ],
)
def test_who_asks_us_to_come_back_may_say_when(given: Answer, seconds: float | None) -> None:
    with pytest.raises(api.ApiUnavailable) as caught:
        api.KubeApi(ScriptedConnection(given)).create("/some/path", {})
    assert caught.value.retry_after_seconds == seconds


def test_with_new_credentials_it_is_tried_once_more() -> None:
    connection = ScriptedConnection(status(401), answer(200, {"data": {}}))
    assert api.KubeApi(connection).get("/some/path") == {"data": {}}
    assert connection.renewed == 1


def test_who_is_not_known_with_new_credentials_either_tries_later() -> None:
    connection = ScriptedConnection(status(401), status(401))
    with pytest.raises(api.ApiUnavailable, match="does not know us"):
        api.KubeApi(connection).get("/some/path")
    assert connection.renewed == 1


def test_credentials_that_cannot_be_read_while_they_are_replaced_are_read_later(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG.replace("TOKEN", "first"))
    connection = Connection.of_kubeconfig(path)
    path.write_text("")
    with pytest.raises(api.ApiUnavailable):
        connection.renew()
    assert connection.authorization() == "Bearer first"
    path.write_text(KUBECONFIG.replace("TOKEN", "second"))
    connection.renew()
    assert connection.authorization() == "Bearer second"


def test_a_list_is_read_page_by_page_and_its_items_say_what_they_are() -> None:
    def page(names: list[str], **metadata: str) -> Answer:
        items = [{"metadata": {"name": name}} for name in names]
        about = {"resourceVersion": "70", **metadata}
        return answer(200, {"kind": "JobList", "apiVersion": "batch/v1", "metadata": about, "items": items})

    connection = ScriptedConnection(page(["a", "b"], **{"continue": "token"}), page(["c"]))
    items, version = api.KubeApi(connection).list(api.jobs("team"), "app=x")
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
    assert items[0] == {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
    assert version == "70"
    queries = [query for _, _, query, _, _ in connection.asked]
    assert [query.get("continue") for query in queries] == [None, "token"]
    assert {query["labelSelector"] for query in queries} == {"app=x"}
    assert {query["limit"] for query in queries} == {"500"}


def test_requests_are_counted_by_verb() -> None:
    told: list[str] = []
    kube = api.KubeApi(ScriptedConnection(*(answer(200, {}) for _ in range(6))), told.append)
    kube.get("/p")
    kube.get("/p")
    kube.create("/p", {})
    kube.apply("/p", {})
    kube.patch("/p", [])
    kube.delete("/p")
    assert kube.requests_made == {"get": 2, "create": 1, "apply": 1, "patch": 1, "delete": 1}
    assert told == ["get", "get", "create", "apply", "patch", "delete"]


def test_a_delete_may_be_of_one_very_object_only() -> None:
    connection = ScriptedConnection(answer(200, {}))
    api.KubeApi(connection).delete(api.jobs("team", "work"), uid="u-1")
    ((method, path, _, body, _),) = connection.asked
    assert (method, path) == ("DELETE", "/apis/batch/v1/namespaces/team/jobs/work")
    assert body == {"propagationPolicy": "Background", "preconditions": {"uid": "u-1"}}


@pytest.mark.parametrize(
    ("path", "is_"),
    [
        (api.rag_indexes(), "/apis/ragindex.io/v1alpha1/ragindexes"),
        (
            api.rag_indexes("team", "handbook", "status"),
            "/apis/ragindex.io/v1alpha1/namespaces/team/ragindexes/handbook/status",
        ),
        (api.cron_jobs("team"), "/apis/batch/v1/namespaces/team/cronjobs"),
        (api.leases("team", "lease"), "/apis/coordination.k8s.io/v1/namespaces/team/leases/lease"),
        (api.events("team"), "/apis/events.k8s.io/v1/namespaces/team/events"),
        (api.config_maps("team", "../secrets/x"), "/api/v1/namespaces/team/configmaps/..%2Fsecrets%2Fx"),
    ],
)
def test_names_lead_nowhere_else(path: str, is_: str) -> None:
    assert path == is_


def service_account(folder: Path, token: str) -> None:
    (folder / "ca.crt").write_text("a certificate")
    fresh = folder / "token.new"
    fresh.write_text(f"{token}\n")
    fresh.replace(folder / "token")


@pytest.fixture
def in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "198.19.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")


@pytest.mark.usefixtures("in_a_pod")
def test_a_renewed_token_of_the_service_account_is_used_at_once(tmp_path: Path) -> None:
    service_account(tmp_path, "first")
    connection = Connection.of_service_account(tmp_path)
    assert connection.host == "https://198.19.0.1:443"
    assert connection.authorization() == "Bearer first"
    service_account(tmp_path, "second")
    assert connection.authorization() == "Bearer second"


def test_no_way_to_the_api_server_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no way to the API server"):
        Connection.found(tmp_path / "nowhere")


def modules_that_import(name: str) -> Iterator[str]:
    for path in OPERATOR.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(each.partition(".")[0] == name for each in names):
                yield path.name
                break


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("kubernetes", {"connection.py"}), ("kopf", {"kopf_source.py", "kopf_session.py"})],
)
def test_libraries_of_kubernetes_stay_behind_one_door(library: str, allowed: set[str]) -> None:
    assert set(modules_that_import(library)) == allowed


def test_every_request_has_its_time_outs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connection = Connection.of_kubeconfig(kubeconfig(tmp_path))
    timeouts: list[Any] = []

    class Answered:
        status = 200

        headers = MappingProxyType[str, str]({})
        data = b"{}"

    def request(*_: Any, timeout: Any, **__: Any) -> Answered:
        timeouts.append(timeout)
        return Answered()

    monkeypatch.setattr("urllib3.PoolManager.request_encode_url", request)
    kube = api.KubeApi(connection)
    calls: list[Callable[[], object]] = [
        lambda: kube.get("/p"),
        lambda: kube.create("/p", {}),
        lambda: kube.delete("/p"),
        lambda: kube.watch("/p", "1"),
    ]
    for call in calls:
        call()
    assert [(each.connect_timeout, each.read_timeout) for each in timeouts] == [(5, 30), (5, 30), (5, 30), (5, 40)]


def kubeconfig(folder: Path) -> Path:
    path = folder / "kubeconfig"
    described = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(described))
    return path
