"""Search over HTTP: what comes back, what is refused, and what happens when the embedder is away."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.integration.api.library import Library, Service

from ragindex_api.wire.search import BatchResponse, SearchResponse
from ragindex_core.errors import Unavailable
from ragindex_core.ports import InputType
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db.indexes import IndexRow

SEARCH = "/v1/indexes/hr/handbook/search"


def search(api: httpx2.Client, **body: Any) -> dict[str, Any]:
    response = api.post(SEARCH, json=body)
    assert response.status_code == 200, response.text
    SearchResponse.model_validate(response.json())
    found: dict[str, Any] = response.json()
    return found


class TestWhatComesBack:
    @pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
    def test_the_passage_that_answers_comes_first(self, reading: httpx2.Client, mode: str) -> None:
        best = search(reading, query="days of annual leave", mode=mode)["results"][0]
        assert "thirty days" in best["text"]
        assert best["document"]["uri"].endswith("leave.txt")
        assert best["metadata"]["department"] == "hr"

    def test_each_arm_that_ran_gives_its_score(self, reading: httpx2.Client) -> None:
        assert set(search(reading, query="badge", mode="hybrid")["results"][0]["scores"]) == {"vector", "keyword"}
        assert set(search(reading, query="badge", mode="keyword")["results"][0]["scores"]) == {"keyword"}
        assert set(search(reading, query="badge", mode="vector")["results"][0]["scores"]) == {"vector"}

    def test_a_vector_takes_the_place_of_the_embedding_alone(self, reading: httpx2.Client) -> None:
        vector = HashEmbedder(64).embed(["annual leave"], InputType.QUERY).vectors[0].tolist()
        found = search(reading, query="badge", vector=vector, mode="vector")
        assert "leave" in found["results"][0]["text"].lower()
        assert found["usage"]["embedding_tokens"] == 0

    def test_a_filter_leaves_only_what_matches(self, reading: httpx2.Client) -> None:
        found = search(reading, query="office badge leave", filter={"equals": {"key": "year", "value": 2023}})
        assert {result["metadata"]["department"] for result in found["results"]} == {"finance"}

    def test_grouping_keeps_one_chunk_a_document(self, reading: httpx2.Client) -> None:
        found = search(reading, query="a", mode="vector", group_by="document", top_k=50)
        ids = [result["document"]["id"] for result in found["results"]]
        assert len(ids) == len(set(ids)) == 3

    def test_a_span_points_into_the_content(self, reading: httpx2.Client) -> None:
        best = search(reading, query="travel expenses")["results"][0]
        content = reading.get(
            f"/v1/indexes/hr/handbook/documents/{best['document']['id']}/content",
            params={"version": best["document"]["version"]},
        ).text
        assert content[best["span"]["start"] : best["span"]["end"]] == best["text"]

    def test_several_searches_are_answered_from_one_revision(self, reading: httpx2.Client) -> None:
        response = reading.post(SEARCH, json={"searches": [{"query": "leave"}, {"query": "badge", "mode": "keyword"}]})
        BatchResponse.model_validate(response.json())
        first, second = response.json()["searches"]
        assert first["revision"] == second["revision"]
        assert "badge" in second["results"][0]["text"]

    def test_an_explanation_is_given_only_when_asked_for(self, reading: httpx2.Client) -> None:
        assert "explain" not in search(reading, query="leave")
        assert search(reading, query="leave", explain=True)["explain"]["mode"] == "hybrid"

    def test_a_whole_number_may_be_written_with_a_point(self, reading: httpx2.Client) -> None:
        assert len(search(reading, query="leave", top_k=2.0, neighbours=1.0)["results"]) == 2

    def test_a_plain_search_by_vector_takes_one_statement(self, reading: httpx2.Client) -> None:
        plain = search(reading, query="leave", mode="vector")["timings"]
        grouped = search(reading, query="leave", mode="vector", group_by="document")["timings"]
        assert set(plain) == {"embed", "vector", "search", "total"}
        assert set(grouped) > set(plain)

    def test_the_same_question_is_embedded_once(self, reading: httpx2.Client) -> None:
        assert search(reading, query="how many days")["usage"]["embedding_tokens"] > 0
        assert search(reading, query="how many days")["usage"]["embedding_tokens"] == 0


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            pytest.param({"query": "x", "topk": 3}, "topk", id="an unknown field"),
            pytest.param({"query": "x", "top_k": 0}, "top_k", id="too few results"),
            pytest.param({"query": "x", "top_k": 101}, "top_k", id="too many results"),
            pytest.param({"query": "x", "top_k": 2.5}, "top_k", id="half a result"),
            pytest.param({"query": "x", "top_k": "5"}, "top_k", id="a number as text"),
            pytest.param({"query": "x", "mode": "fuzzy"}, "mode", id="a mode nobody knows"),
            pytest.param({"query": "   "}, "query", id="a blank question"),
            pytest.param({}, "", id="neither query nor vector"),
            pytest.param({"query": "x", "vector": [1.0, 2.0]}, "vector", id="a vector of another length"),
            pytest.param({"vector": [1.0] * 64, "mode": "keyword"}, "query", id="keywords without words"),
            pytest.param({"query": "x", "rerank": True}, "rerank", id="a reranker that is not there"),
            pytest.param(
                {"query": "x", "filter": {"andAll": [{"equals": {"value": 1}}]}},
                "filter.andAll[0].equals.key",
                id="a filter without a key",
            ),
            pytest.param(
                {"searches": [{"query": "x"}, {"query": "y", "limit": 1}]}, "searches[1].limit", id="in a batch"
            ),
        ],
    )
    def test_the_problem_names_the_field(self, reading: httpx2.Client, body: dict[str, Any], field: str) -> None:
        response = reading.post(SEARCH, json=body)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in response.json()["errors"]] == [field]

    @pytest.mark.parametrize(
        "body",
        [
            {"query": "x", "language": "English (UK)"},
            {"query": "x", "language": "e\n"},
            {"query": "\u00a0"},
            {"question": "x", "conversation_id": "X" * 36},
        ],
    )
    def test_what_is_wrong_is_said_in_words(self, reading: httpx2.Client, body: dict[str, Any]) -> None:
        response = reading.post(SEARCH if "query" in body else "/v1/indexes/hr/handbook/answer", json=body)
        assert response.status_code == 422
        [error] = response.json()["errors"]
        assert not set("[]{}^$\\*") & set(error["message"])

    @pytest.mark.parametrize("value", [10**400, -(10**400), 2**64])
    def test_a_number_beyond_all_that_is_stored_does_no_harm(self, reading: httpx2.Client, value: int) -> None:
        asked = {"query": "badge", "filter": {"greaterThan": {"key": "year", "value": value}}}
        assert reading.post(SEARCH, json=asked).status_code in (200, 422)

    def test_a_body_that_is_not_json(self, reading: httpx2.Client) -> None:
        response = reading.post(SEARCH, content=b"{", headers={"content-type": "application/json"})
        assert (response.status_code, response.json()["type"]) == (400, "urn:ragindex:problem:malformed-request")

    def test_a_body_of_another_type(self, reading: httpx2.Client) -> None:
        assert reading.post(SEARCH, content=b"q=1", headers={"content-type": "text/plain"}).status_code == 415

    def test_a_body_that_is_too_large(self, reading: httpx2.Client) -> None:
        response = reading.post(SEARCH, content=b" " * 1_100_000, headers={"content-type": "application/json"})
        assert response.status_code == 413

    def test_an_unknown_parameter(self, reading: httpx2.Client) -> None:
        response = reading.post(SEARCH, params={"top_k": 3}, json={"query": "x"})
        assert [error["field"] for error in response.json()["errors"]] == ["top_k"]

    @pytest.mark.parametrize("path", ["/v1/indexes/hr/nothing/search", "/v1/indexes/HR/handbook/search", "/v1/x"])
    def test_what_is_not_there(self, reading: httpx2.Client, path: str) -> None:
        response = reading.post(path, json={"query": "x"})
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


class TestWhenSomethingIsMissing:
    def test_an_index_without_tables_is_not_ready(self, api: httpx2.Client, library: Library) -> None:
        library.index()
        response = api.post(SEARCH, json={"query": "x"})
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1

    def test_an_empty_index_finds_nothing(self, api: httpx2.Client, library: Library) -> None:
        library.revision(library.index())
        assert search(api, query="anything")["results"] == []

    def test_a_suspended_index_still_answers(self, api: httpx2.Client, library: Library) -> None:
        index = library.index()
        library.revision(index)
        library.document(index, "a.txt", "The lighthouse is red.")
        library.index_suspended(index)
        assert search(api, query="lighthouse")["results"]

    @pytest.mark.usefixtures("handbook")
    def test_hybrid_goes_on_by_keyword_and_says_so(self, api: httpx2.Client, library: Library) -> None:
        library.embedder.failures.append(Unavailable("the model does not answer"))
        found = search(api, query="expired badge")
        assert "keyword" in found["degraded"]
        assert set(found["results"][0]["scores"]) == {"keyword"}
        assert "degraded" not in search(api, query="another expired badge")

    @pytest.mark.usefixtures("handbook")
    def test_a_search_by_vector_alone_cannot(self, api: httpx2.Client, library: Library) -> None:
        library.embedder.failures.append(Unavailable("the model does not answer"))
        response = api.post(SEARCH, json={"query": "expired badge", "mode": "vector"})
        assert response.status_code == 503


def test_what_was_asked_is_recorded_without_its_words(
    api: httpx2.Client, handbook: IndexRow, library: Library, service: Service
) -> None:
    run_id = search(api, query="days of annual leave")["run_id"]
    service.stop()
    with library.database.begin() as connection:
        rows = library.runs(connection, handbook)
    assert [(row.id, row.kind) for row in rows] == [(run_id, "Search")]
    assert rows[0].document_ids
