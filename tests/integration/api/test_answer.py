"""Answers: cited and checked, as they come or at once, and stopped when nobody listens."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from tests.integration.api.conftest import EXPENSES, LEAVE
from tests.integration.api.library import Library, Service, events, serve

from ragindex_api.settings import ApiSettings
from ragindex_api.wire.answer import AnswerResponse
from ragindex_core.errors import Throttled, Unavailable
from ragindex_core.testing.generator import Reply, ScriptedGenerator
from ragindex_db.indexes import IndexRow
from ragindex_db.schema import query_runs, usage

ANSWER = "/v1/indexes/hr/handbook/answer"
LEAVE_DAYS = "How many days of annual leave a year?"
ROUTES = {"routes": [{"provider": "OpenAI", "model": "writer"}]}


def answer(
    api: httpx2.Client, question: str, path: str = "/v1/indexes/hr/handbook/answer", **body: Any
) -> dict[str, Any]:
    response = api.post(path, json={"question": question, **body})
    assert response.status_code == 200, response.text
    AnswerResponse.model_validate(response.json())
    found: dict[str, Any] = response.json()
    return found


def streamed(api: httpx2.Client, question: str, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    with api.stream("POST", ANSWER, json={"question": question, "stream": True, **body}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [(name, json.loads(data)) for name, data in events(list(response.iter_lines()))]


@pytest.fixture
def written(library: Library) -> IndexRow:
    """An index whose answers a language model writes."""
    index = library.index(generation=ROUTES)
    library.revision(index)
    library.document(index, "leave.txt", LEAVE)
    library.document(index, "expenses.txt", EXPENSES)
    return index


class TestWithoutALanguageModel:
    def test_the_answer_is_the_best_passage_and_says_so(self, api: httpx2.Client, handbook: IndexRow) -> None:
        found = answer(api, LEAVE_DAYS)
        assert (found["outcome"], found["model"]) == ("Extractive", None)
        assert "thirty days" in found["answer"]
        assert "[1]" in found["answer"]

    def test_every_citation_quotes_its_document_word_for_word(self, api: httpx2.Client, handbook: IndexRow) -> None:
        found = answer(api, "What does error E-4012 mean for the badge?")
        assert found["citations"]
        for citation in found["citations"]:
            document = citation["document"]
            content = api.get(
                f"/v1/indexes/hr/handbook/documents/{document['id']}/content", params={"version": document["version"]}
            ).text
            assert content[citation["span"]["start"] : citation["span"]["end"]] == citation["quote"]
            assert citation["index"] == "hr/handbook"

    def test_nothing_relevant_is_no_evidence_and_cites_nothing(self, api: httpx2.Client, handbook: IndexRow) -> None:
        found = answer(api, "Which telescope photographed Neptune?")
        assert (found["outcome"], found["citations"]) == ("NoEvidence", [])

    def test_an_empty_index_has_no_evidence(self, api: httpx2.Client, library: Library) -> None:
        library.revision(library.index())
        assert answer(api, "How many days?")["outcome"] == "NoEvidence"


class TestWithALanguageModel:
    def test_citations_are_kept_and_invented_ones_counted(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        generator.replies.append(Reply(["Thirty days of annual leave a year [1]", " or more [", "7", "]."]))
        found = answer(api, LEAVE_DAYS)
        assert (found["outcome"], found["model"]) == ("Answered", "Fake/script")
        assert found["answer"] == "Thirty days of annual leave a year [1] or more."
        assert [citation["marker"] for citation in found["citations"]] == [1]
        assert found["usage"]["markers_removed"] == 1
        assert found["cost"] is None

    def test_nothing_relevant_is_not_put_to_the_model(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        assert answer(api, "Which telescope photographed Neptune?")["outcome"] == "NoEvidence"
        assert generator.requests == []

    def test_an_answer_that_cites_nothing_is_not_taken_for_one(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        generator.replies.append(Reply(["The documents do not say."]))
        found = answer(api, LEAVE_DAYS)
        assert (found["outcome"], found["citations"]) == ("NoEvidence", [])

    @pytest.mark.parametrize("failure", [Unavailable("down"), Throttled("busy")])
    def test_when_no_model_answers_the_passages_do(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator, failure: Exception
    ) -> None:
        generator.replies.append(Reply([failure]))
        found = answer(api, LEAVE_DAYS)
        assert found["outcome"] == "Extractive"
        assert "no language model answered" in found["degraded"]

    def test_a_model_that_breaks_off_is_a_problem(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        generator.replies.append(Reply(["Thirty days ", Unavailable("lost")]))
        response = api.post(ANSWER, json={"question": LEAVE_DAYS})
        assert (response.status_code, response.json()["type"]) == (503, "urn:ragindex:problem:unavailable")


class TestConversations:
    def test_a_short_question_is_understood_after_the_one_before_it(
        self, api: httpx2.Client, handbook: IndexRow
    ) -> None:
        first = answer(api, LEAVE_DAYS)
        second = answer(api, "And how many weeks?", conversation_id=first["conversation_id"])
        assert second["conversation_id"] == first["conversation_id"]
        assert second["outcome"] == "Extractive"
        assert answer(api, "And how many fortnights?")["outcome"] == "NoEvidence"

    def test_the_model_sees_the_questions_before(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        generator.replies.extend([Reply(["Thirty days [1]."]), Reply(["Twenty [1]."])])
        first = answer(api, LEAVE_DAYS)
        answer(api, "How many days of leave in writing?", conversation_id=first["conversation_id"])
        assert LEAVE_DAYS in generator.requests[1].user
        assert "Thirty days [1]." not in generator.requests[1].user

    def test_one_index_does_not_hear_the_conversations_of_another(
        self, api: httpx2.Client, library: Library, handbook: IndexRow
    ) -> None:
        library.revision(library.index("other"))
        theirs = answer(api, LEAVE_DAYS)["conversation_id"]
        response = api.post("/v1/indexes/hr/other/answer", json={"question": "Why?", "conversation_id": theirs})
        assert response.status_code == 404

    def test_a_document_takes_along_what_was_answered_from_it(
        self, api: httpx2.Client, library: Library, handbook: IndexRow
    ) -> None:
        cited = answer(api, LEAVE_DAYS)["citations"][0]["document"]["id"]
        assert library.turns() == 1
        library.delete(handbook, int(cited))
        assert library.turns() == 0


class TestStreams:
    def test_the_events_of_an_answer(self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator) -> None:
        generator.replies.append(Reply(["Thirty ", "days [", "1", "] a year."]))
        found = streamed(api, LEAVE_DAYS)
        names = [name for name, _ in found]
        assert (names[0], names[-1]) == ("retrieval", "done")
        assert set(names[1:-1]) == {"token", "citation"}
        said = "".join(data["text"] for name, data in found if name == "token")
        assert said == found[-1][1]["answer"] == "Thirty days [1] a year."
        assert [data for name, data in found if name == "citation"] == found[-1][1]["citations"]
        AnswerResponse.model_validate(found[-1][1])

    def test_no_marker_is_shown_before_it_is_verified(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        generator.replies.append(Reply(["Thirty days [", "9", "] a year [1]."]))
        tokens = [data["text"] for name, data in streamed(api, LEAVE_DAYS) if name == "token"]
        assert "9" not in "".join(tokens)
        assert all(token.count("[") == token.count("]") for token in tokens)

    def test_a_failure_in_the_middle_ends_with_an_error(
        self, api: httpx2.Client, written: IndexRow, generator: ScriptedGenerator
    ) -> None:
        generator.replies.append(Reply(["Thirty days ", Unavailable("lost")]))
        name, problem = streamed(api, LEAVE_DAYS)[-1]
        assert (name, problem["status"]) == ("error", 503)

    def test_what_can_be_refused_is_refused_with_a_status(self, api: httpx2.Client) -> None:
        response = api.post("/v1/indexes/hr/nothing/answer", json={"question": "Why?", "stream": True})
        assert response.status_code == 404


class Waiting:
    """A reply that waits for ever, and tells when it began to and when it was given up."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.given_up = threading.Event()

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()


@pytest.mark.usefixtures("written")
class TestWhenSomebodyLeaves:
    @pytest.fixture
    def waiting(self, generator: ScriptedGenerator) -> Waiting:
        waiting = Waiting()
        generator.replies.append(Reply(["Thirty ", waiting, "days [1]."]))
        return waiting

    def test_a_stream_that_is_left_stops_the_model(
        self, api: httpx2.Client, waiting: Waiting, service: Service
    ) -> None:
        with api.stream("POST", ANSWER, json={"question": LEAVE_DAYS, "stream": True}) as response:
            assert next(response.iter_lines()).startswith("event: retrieval")
            assert waiting.begun.wait(5)
        assert waiting.given_up.wait(5)

    def test_what_an_answer_took_until_it_was_left_is_written_down(
        self, api: httpx2.Client, waiting: Waiting, service: Service, library: Library
    ) -> None:
        with api.stream("POST", ANSWER, json={"question": LEAVE_DAYS, "stream": True}):
            assert waiting.begun.wait(5)
        assert waiting.given_up.wait(5)
        service.stop()
        with library.database.begin() as connection:
            outcomes = connection.execute(
                sa.select(query_runs.c.outcome).where(query_runs.c.kind == "Answer")
            ).scalars()
            assert list(outcomes) == ["Cancelled"]
            used = connection.execute(
                sa.select(usage.c.route, usage.c.input_tokens, usage.c.output_tokens).where(
                    usage.c.stage == "Generation"
                )
            ).one()
        assert used.route == "Fake/script"
        assert used.input_tokens > 50
        assert used.output_tokens > 0

    def test_an_answer_that_nobody_waits_for_stops_the_model(self, api: httpx2.Client, waiting: Waiting) -> None:
        with pytest.raises(httpx2.ReadTimeout):
            api.post(ANSWER, json={"question": LEAVE_DAYS}, timeout=0.5)
        assert waiting.given_up.wait(5)

    def test_a_shutdown_tells_the_listener(
        self, database_url: str, library: Library, waiting: Waiting, generator: ScriptedGenerator
    ) -> None:
        settings = ApiSettings(drain_seconds=0.2)
        service = serve(database_url, embedder=library.embedder, generator=generator, settings=settings)
        with (
            httpx2.Client(base_url=service.url, timeout=10) as api,
            api.stream("POST", ANSWER, json={"question": LEAVE_DAYS, "stream": True}) as response,
        ):
            assert waiting.begun.wait(5)
            service.stop()
            name, data = events(list(response.iter_lines()))[-1]
        assert (name, json.loads(data)["type"]) == ("error", "urn:ragindex:problem:draining")
        assert waiting.given_up.is_set()

    def test_a_silent_stream_is_kept_alive_by_comments(
        self, database_url: str, library: Library, waiting: Waiting, generator: ScriptedGenerator
    ) -> None:
        settings = ApiSettings(heartbeat_seconds=0.1)
        service = serve(database_url, embedder=library.embedder, generator=generator, settings=settings)
        with (
            httpx2.Client(base_url=service.url, timeout=10) as api,
            api.stream("POST", ANSWER, json={"question": LEAVE_DAYS, "stream": True}) as response,
        ):
            assert any(line == ":" for line in response.iter_lines())
        service.stop()
