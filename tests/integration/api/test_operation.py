"""What those who run the service rely on: probes, metrics, limits, promotion under load, a way down without errors."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import urllib.request
from typing import Any

import httpx2
import pytest
from tests.integration.api.conftest import LEAVE
from tests.integration.api.library import Library, Service, serve

from ragindex_api.logging import JsonFormatter
from ragindex_api.metrics import MetricsServer
from ragindex_api.server import ApiServer
from ragindex_api.settings import ApiSettings, Limit
from ragindex_api.wire.documents import RagIndexList, RagIndexOut, RequestAccepted
from ragindex_core.errors import Misconfigured
from ragindex_core.ports import Embeddings, InputType
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import indexes, requests, revisions
from ragindex_db.indexes import IndexRow

SEARCH = "/v1/indexes/hr/handbook/search"


class TestIndexes:
    def test_an_index_is_shown_as_the_object_it_is(self, api: httpx2.Client, handbook: IndexRow) -> None:
        shown = api.get("/v1/indexes/hr/handbook").json()
        RagIndexOut.model_validate(shown)
        assert shown["kind"] == "RagIndex"
        assert shown["metadata"]["name"] == "handbook"
        assert shown["metadata"]["annotations"] == {"note": "kept"}
        assert shown["spec"]["embedding"]["model"] == "words"
        assert shown["status"] == {"conditions": []}

    def test_the_list_holds_those_that_live(self, api: httpx2.Client, handbook: IndexRow, library: Library) -> None:
        gone = library.index("gone")
        library.database.run(indexes.retain, gone.id)
        listed = RagIndexList.model_validate(api.get("/v1/indexes").json())
        assert [item.metadata["name"] for item in listed.items] == ["handbook"]
        assert api.get("/v1/indexes/hr/gone").status_code == 404

    def test_a_run_is_asked_for(self, api: httpx2.Client, handbook: IndexRow, library: Library) -> None:
        response = api.post("/v1/indexes/hr/handbook/sync")
        assert response.status_code == 202
        accepted = RequestAccepted.model_validate(response.json())
        [waiting] = library.database.run(requests.waiting, handbook.id)
        assert (waiting.name, waiting.value) == ("sync", accepted.request_id)


class TestProbes:
    def test_alive_and_ready(self, api: httpx2.Client) -> None:
        assert api.get("/healthz").json() == {"status": "ok"}
        assert api.get("/readyz").json() == {"status": "ok"}

    def test_a_database_without_its_tables_is_not_ready(self, empty_database_url: str) -> None:
        service = serve(empty_database_url, embedder=HashEmbedder())
        assert httpx2.get(f"{service.url}/readyz").status_code == 503
        assert httpx2.get(f"{service.url}/healthz").status_code == 200
        service.stop()

    def test_no_database_is_not_ready(self) -> None:
        service = serve("postgresql://nobody@127.0.0.1:9/none", embedder=HashEmbedder())
        response = httpx2.get(f"{service.url}/readyz", timeout=10)
        assert (response.status_code, response.json()["type"]) == (503, "urn:ragindex:problem:unavailable")
        assert response.json()["detail"] == "the database does not answer"
        service.stop()

    def test_metrics_have_a_port_of_their_own(self, api: httpx2.Client, handbook: IndexRow, service: Service) -> None:
        api.post(SEARCH, json={"query": "leave"})
        api.get("/healthz")  # a request is counted after its answer went out: before the next one's on its connection
        server = MetricsServer(service.metrics, "127.0.0.1", 0)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as response:
            shown = response.read().decode()
        server.close()
        route = "/v1/indexes/{namespace}/{name}/search"
        assert f'ragindex_requests_total{{method="POST",route="{route}",status="200"}} 1.0' in shown
        assert 'ragindex_stage_seconds_count{stage="vector"} 1.0' in shown
        assert api.get("/metrics").status_code == 404


class TestEveryResponse:
    def test_does_not_wait_for_its_head_to_be_acknowledged(self, service: Service) -> None:
        [listening] = [each for server in service.server.servers for each in server.sockets]
        assert listening.proto == socket.IPPROTO_TCP  # what asyncio asks before it sets TCP_NODELAY

    def test_carries_the_id_of_its_request(self, api: httpx2.Client) -> None:
        assert api.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
        response = api.get("/v1/nothing", headers={"x-request-id": 'a" b'})
        assert response.headers["x-request-id"] == response.json()["request_id"]
        assert '"' not in response.headers["x-request-id"]

    def test_a_method_that_is_not_known_is_a_problem(self, api: httpx2.Client) -> None:
        response = api.put(SEARCH, json={})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert response.headers["content-type"] == "application/problem+json"

    def test_the_page_of_the_reference_needs_nothing_from_elsewhere(self, api: httpx2.Client) -> None:
        page = api.get("/docs").text
        assert "/v1/indexes/{namespace}/{name}/search" in page
        assert "http://" not in page
        assert "https://" not in page
        assert "<script" not in page

    def test_is_logged_without_its_words(
        self, api: httpx2.Client, handbook: IndexRow, service: Service, library: Library
    ) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter())
        logger = logging.getLogger("ragindex_api")
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            api.post(SEARCH, json={"query": "Quetzalcoatl"}, headers={"x-request-id": "r-1"})
            library.embedder.failures.append(ValueError("Quetzalcoatl's secret"))
            assert api.post(SEARCH, json={"query": "Quetzalcoatl again"}).status_code == 500
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert "Quetzalcoatl" not in stream.getvalue()
        [first] = [line for line in lines if line.get("request_id") == "r-1"]
        assert first["route"] == "/v1/indexes/{namespace}/{name}/search"
        assert (first["method"], first["status"]) == ("POST", 200)
        [failure] = [line for line in lines if line["level"] == "error"]
        assert failure["error"] == "builtins.ValueError"


class Slow(HashEmbedder):
    """Waits to be let go."""

    def __init__(self) -> None:
        super().__init__(64)
        self.begun = threading.Event()
        self.go = threading.Event()

    def embed(self, texts: Any, input_type: InputType) -> Embeddings:
        if input_type is InputType.QUERY:
            self.begun.set()
            assert self.go.wait(10)
        return super().embed(texts, input_type)


@pytest.fixture
def slow(library: Library) -> Slow:
    return Slow()


class TestLimits:
    def test_what_is_too_much_is_told_to_come_back(self, database_url: str, handbook: IndexRow, slow: Slow) -> None:
        settings = ApiSettings(searches=Limit(at_once=1, waiting=0), embedding_seconds=20)
        service = serve(database_url, embedder=slow, settings=settings)
        with httpx2.Client(base_url=service.url, timeout=10) as api:
            first: list[httpx2.Response] = []
            thread = threading.Thread(target=lambda: first.append(api.post(SEARCH, json={"query": "leave"})))
            thread.start()
            assert slow.begun.wait(5)
            refused = api.post(SEARCH, json={"query": "leave"})
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            slow.go.set()
            thread.join()
            assert first[0].status_code == 200
            assert api.post(SEARCH, json={"query": "leave"}).status_code == 200
        service.stop()

    def test_an_embedder_that_hangs_costs_a_hybrid_search_its_vector_arm_alone(
        self, database_url: str, handbook: IndexRow, slow: Slow
    ) -> None:
        service = serve(database_url, embedder=slow, settings=ApiSettings(embedding_seconds=0.2))
        found = httpx2.post(f"{service.url}{SEARCH}", json={"query": "annual leave"}).json()
        assert "too long" in found["degraded"]
        slow.go.set()
        service.stop()


class TestTheWayDown:
    def test_what_is_under_way_is_finished_and_nothing_new_begun(
        self, database_url: str, handbook: IndexRow, slow: Slow
    ) -> None:
        service = serve(database_url, embedder=slow, settings=ApiSettings(embedding_seconds=20))
        with httpx2.Client(base_url=service.url, timeout=10) as api:
            first: list[httpx2.Response] = []
            thread = threading.Thread(target=lambda: first.append(api.post(SEARCH, json={"query": "leave"})))
            thread.start()
            assert slow.begun.wait(5)
            service.server.stop()
            while (ready := api.get("/readyz")).status_code == 200:
                continue
            assert ready.status_code == 503
            refused = api.post(SEARCH, json={"query": "leave"})
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:ragindex:problem:draining")
            assert api.get("/healthz").status_code == 200
            slow.go.set()
            thread.join()
        assert first[0].status_code == 200
        service.thread.join(10)
        assert not service.thread.is_alive()

    def test_a_port_that_is_taken_is_said_to_be(self, service: Service) -> None:
        with pytest.raises(Misconfigured, match="is taken"):
            ApiServer(service.server.config.app, ApiSettings(), "127.0.0.1", service.server.port)  # type: ignore[arg-type]


def test_promotion_under_searches_fails_none_and_mixes_none(
    database_url: str, library: Library, handbook: IndexRow
) -> None:
    """Two models of different lengths take turns: a search that mixed them would be an error or name the other one."""
    first = library.database.run(indexes.get, handbook.id).serving_revision_id
    assert first is not None
    second = library.revision(handbook, serve=False, dimensions=32, model="other")
    other = HashEmbedder(32, model="other")
    texts = {row.id: LEAVE for row in library.documents(handbook)}
    library.work(handbook, texts, embedder=other)
    embedders = {"words": library.embedder, "other": other}
    service = serve(database_url, embedder=embedders, settings=ApiSettings(catalogue_seconds=0.05))
    stop = threading.Event()
    problems: list[Any] = []
    seen: set[str] = set()

    def search() -> None:
        with httpx2.Client(base_url=service.url, timeout=10) as api:
            count = 0
            while not stop.is_set():
                count += 1
                response = api.post(SEARCH, json={"query": f"annual leave {count}", "mode": "hybrid"})
                body = response.json()
                if response.status_code != 200 or "degraded" in body:
                    problems.append(body)
                    return
                revision = body["revision"]
                seen.add(revision["id"])
                ids = {result["chunk_id"].partition("-")[0] for result in body["results"]}
                dimensions = {"words": 64, "other": 32}[revision["model"]]
                if len(ids) != 1 or revision["dimensions"] != dimensions:
                    problems.append(body)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(12):
        library.database.run(indexes.serve, handbook.id, (second.id, first)[turn % 2])
        threading.Event().wait(0.15)
    stop.set()
    for thread in threads:
        thread.join()
    service.stop()
    assert problems == []
    assert seen == {"r1", f"r{library.database.run(revisions.get, second.id).number}"}
