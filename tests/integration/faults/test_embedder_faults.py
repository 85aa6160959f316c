"""An embedding service that is slow, throttles, fails or answers nonsense, before a worker and before queries.

What goes wrong is told by state and condition, costs no document that is not to blame, and goes on by itself once the
service is well again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from tests.integration.api.library import serve
from tests.integration.engine.conftest import Engine, engine

from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder
from ragindex_db import budgets, schema
from ragindex_db.documents import DocumentRow
from ragindex_db.revisions import RevisionRow
from ragindex_providers.openai.embeddings import OpenAIEmbedder
from ragindex_providers.retry import Retrier, RetryPolicy
from ragindex_providers.settings import Endpoint, Timeouts
from ragindex_providers.testing.openai_server import REFUSED_WORD, FakeOpenAIServer, Fault
from ragindex_worker.loop import Worker, WorkerSettings

__all__ = ["engine"]

#: RAGINDEX_FAULTS=long goes through all ways, else every second one is taken.
LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
DOCUMENTS = [f"{name}.md" for name in "abcdef"]


class Embedders:
    """The client of the service, less patient than in earnest."""

    def __init__(self, server: FakeOpenAIServer) -> None:
        timeouts = Timeouts(connect_seconds=2, read_seconds=0.5, total_seconds=1.5)
        endpoint = Endpoint("main", server.base_url, timeouts=timeouts, max_batch=64)
        retrier = Retrier(RetryPolicy(attempts=2, base_seconds=0.02))
        self.embedder = OpenAIEmbedder(endpoint, "words", 64, retrier=retrier)

    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        return self.embedder


@dataclass
class Ingestion:
    """A worker that runs, a folder of documents, and the service that it asks."""

    engine: Engine
    server: FakeOpenAIServer
    embedders: Embedders

    def begin(self) -> None:
        """Everything is listed and waits for its vectors."""
        self.engine.reconcile()
        self.engine.sync_only()
        self.engine.reconcile()

    @contextmanager
    def running(self) -> Iterator[Worker]:
        settings = WorkerSettings(scratch=self.engine.scratch, threads=1)
        worker = Worker(self.engine.database, self.embedders, self.engine.open_source, settings)
        running = threading.Thread(target=worker.run)
        running.start()
        try:
            yield worker
        finally:
            worker.stop()
            running.join(60)
        assert not running.is_alive()

    def await_documents(self, wanted: Callable[[dict[str, DocumentRow]], bool]) -> dict[str, DocumentRow]:
        until = time.monotonic() + 60
        while not wanted(found := self.engine.documents()):
            assert time.monotonic() < until, {key: (row.state, row.reason, row.attempts) for key, row in found.items()}
            time.sleep(0.05)
        return found

    def as_if_time_passed(self, worker: Worker) -> None:
        rd, budget = schema.revision_documents, schema.provider_budgets
        past = sa.func.now() - timedelta(seconds=1)
        with self.engine.database.begin() as connection:
            connection.execute(sa.update(rd).where(rd.c.state == "Pending").values(next_attempt_at=past))
            connection.execute(sa.update(budget).values(throttled_until=past))
        worker.wake()

    def check_all_is_well(self, attempts: int = 1) -> None:
        found = self.await_documents(lambda rows: all(row.state == "Indexed" for row in rows.values()))
        assert {(row.reason, row.attempts) for row in found.values()} == {(None, attempts)}
        self.engine.reconcile()
        assert self.engine.condition("Degraded") == ("False", "Healthy")
        assert self.engine.condition("Throttled") == ("False", "NotThrottled")


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer() as server:
        yield server


@pytest.fixture
def ingestion(engine: Engine, server: FakeOpenAIServer) -> Iterator[Ingestion]:
    engine.edit(ingestion={"maxAttemptsPerDocument": 2})
    for name in DOCUMENTS:
        engine.write(name, f"# {name}\n\nThe keeper of tower {name} is called {name}{name}.\n")
    embedders = Embedders(server)
    yield Ingestion(engine, server, embedders)
    embedders.embedder.close()


def everyone(state: str, reason: str | None, attempts: int) -> Callable[[dict[str, DocumentRow]], bool]:
    return lambda rows: {(row.state, row.reason, row.attempts) for row in rows.values()} == {(state, reason, attempts)}


PASSING: list[Fault] = [
    Fault(delay_seconds=0.3),
    Fault(status=429),
    Fault(status=429, retry_after="0"),
    Fault(status=500),
    Fault(half_body=True),
    Fault(not_a_number=True),
    Fault(never_answers=True),
]


def test_what_passes_nobody_sees(ingestion: Ingestion) -> None:
    """One fault after another, each before a call that works."""
    engine = ingestion.engine
    ingestion.begin()
    with ingestion.running() as worker:
        ingestion.check_all_is_well()
        for number, fault in enumerate(PASSING if LONG else PASSING[::2]):
            ingestion.server.faults.append(fault)
            engine.write("a.md", f"# A\n\nTower a has a new keeper, number {number}.\n")
            engine.ask("sync", str(number))
            engine.reconcile()
            worker.wake()
            ingestion.await_documents(lambda _rows: not ingestion.server.faults)
            ingestion.check_all_is_well()


AWAY: list[Fault] = [
    Fault(status=500),
    Fault(half_body=True),
    Fault(raw_body=b"<html>"),
    Fault(dimensions=63),  # another dimension
    Fault(not_a_number=True),
    Fault(missing_vectors=1),
    Fault(never_answers=True),
    Fault(status=401),  # a wrong key
]


def test_a_service_that_is_away_costs_no_attempt_and_all_goes_on_when_it_is_back(ingestion: Ingestion) -> None:
    """Longer than a document's attempts would last; then another way to be away."""
    engine, server = ingestion.engine, ingestion.server
    server.always(AWAY[0])
    ingestion.begin()
    with ingestion.running() as worker:
        for number, fault in enumerate(AWAY if LONG else AWAY[::2]):
            server.always(fault)
            if number:
                for name in DOCUMENTS:
                    engine.write(name, f"# {name}\n\nThe keeper of tower {name} is another, number {number}.\n")
                engine.ask("sync", str(number))
                engine.reconcile()
                worker.wake()
            for _ in range(3 if LONG or not number else 1):
                ingestion.await_documents(everyone("Pending", "EmbeddingFailed", 0))
                engine.reconcile()
                assert engine.condition("Degraded") == ("True", "ProviderUnavailable")
                asked = len(server.requests)
                ingestion.as_if_time_passed(worker)
                ingestion.await_documents(lambda _rows, asked=asked: len(server.requests) > asked)  # type: ignore[misc]
            server.always(None)
            ingestion.await_documents(everyone_waits_or_is_done)
            ingestion.as_if_time_passed(worker)
            ingestion.check_all_is_well()


def everyone_waits_or_is_done(rows: dict[str, DocumentRow]) -> bool:
    return all(row.state in ("Pending", "Indexed") for row in rows.values())


@pytest.mark.parametrize("retry_after", [None, "30"])
def test_throttled_is_a_state_and_costs_no_attempt(ingestion: Ingestion, retry_after: str | None) -> None:
    engine, server = ingestion.engine, ingestion.server
    server.always(Fault(status=429, retry_after=retry_after))
    ingestion.begin()
    with ingestion.running() as worker:
        ingestion.await_documents(lambda _rows: told_to_wait(engine))
        ingestion.await_documents(everyone("Pending", None, 0))
        engine.reconcile()
        assert engine.condition("Throttled") == ("True", "ProviderThrottled")
        assert engine.condition("Degraded") == ("False", "Healthy")
        if retry_after is not None:
            asked = len(server.requests)
            worker.wake()
            time.sleep(1)
            assert len(server.requests) == asked, "nobody asks before the time that the service named"
        server.always(None)
        ingestion.as_if_time_passed(worker)
        ingestion.check_all_is_well()


def told_to_wait(engine: Engine) -> bool:
    return engine.database.run(budgets.throttled_until, "OpenAI", "words") is not None


def test_one_broken_document_of_a_batch_fails_alone(ingestion: Ingestion) -> None:
    """Be it refused, or be it that the service falls over it."""
    engine, server = ingestion.engine, ingestion.server
    engine.write("refused.md", f"# Refused\n\nThis is {REFUSED_WORD} by the service.\n")
    engine.write("trips.md", "# Trips\n\nThis trips the service up.\n")
    server.trips_over("trips the service")
    ingestion.begin()
    with ingestion.running() as worker:
        good = {*DOCUMENTS}
        found = ingestion.await_documents(lambda rows: rows["trips.md"].reason is not None)
        found = ingestion.await_documents(lambda rows: all(rows[key].state == "Indexed" for key in good))
        assert {found[key].attempts for key in good} == {1}
        assert (found["refused.md"].state, found["refused.md"].reason) == ("Failed", "EmbeddingRefused")
        assert (found["trips.md"].state, found["trips.md"].attempts) == ("Pending", 1)
        ingestion.as_if_time_passed(worker)
        found = ingestion.await_documents(lambda rows: rows["trips.md"].state == "Failed")
        assert (found["trips.md"].reason, found["trips.md"].attempts) == ("EmbeddingFailed", 2)
        engine.reconcile()
        assert engine.condition("Degraded") == ("True", "DocumentsFailed")
        assert engine.condition("Ready")[0] == "True"


AT_A_QUERY = [Fault(status=429, retry_after="30"), *AWAY, Fault(delay_seconds=30)]


def test_a_hybrid_search_is_answered_by_keyword_alone_and_says_so(ingestion: Ingestion, database_url: str) -> None:
    ingestion.begin()
    with ingestion.running():
        ingestion.check_all_is_well()
    service = serve(database_url, embedder=ingestion.embedders.embedder)
    try:
        with httpx2.Client(base_url=service.url, timeout=30) as client:

            def ask(number: int, mode: str = "hybrid") -> Any:
                question = {"query": f"keeper of tower a.md, question {number}", "mode": mode}
                return client.post("/v1/indexes/default/notes/search", json=question)

            for number, fault in enumerate(AT_A_QUERY):
                ingestion.server.always(fault)
                answer = ask(number)
                assert answer.status_code == 200, fault
                assert answer.json()["degraded"].startswith("by keyword alone"), fault
                assert answer.json()["results"], fault
                assert ask(number, "vector").status_code in (429, 502, 503), fault
            ingestion.server.always(None)
            well = ask(len(AT_A_QUERY)).json()
            assert "degraded" not in well
    finally:
        service.stop()
