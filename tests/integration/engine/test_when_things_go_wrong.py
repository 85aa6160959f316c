"""Providers that throttle, refuse or fail; indexes to be built; broken sidecars; uploads; leases that were lost."""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pytest
import sqlalchemy as sa

from ragindex_core.analysis import query_terms
from ragindex_core.errors import Misconfigured, ProviderRefused, Throttled, Unavailable
from ragindex_core.object.spec import RetrievalMode
from ragindex_core.ports import InputType
from ragindex_core.reconcile.situation import Limits
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import budgets, queue, schema, search, uploads
from ragindex_worker.loop import Worker, WorkerSettings


def model(engine: Any, **how: Any) -> HashEmbedder:
    made = HashEmbedder(64, model="words", **how)
    engine.embedders.opened["words"] = made
    return made


def due_now(engine: Any) -> None:
    """As if the time until the next attempt had passed."""
    rd = schema.revision_documents
    with engine.database.begin() as connection:
        connection.execute(sa.update(rd).values(next_attempt_at=sa.func.now() - timedelta(seconds=1)))


def test_throttling_is_a_state_and_costs_no_attempt(engine: Any) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    model(engine, failures=[Throttled("slow down", retry_after_seconds=2.0)])
    engine.reconcile()
    engine.sync_only()
    engine.reconcile()
    engine.work()  # comes back by itself when the provider may be asked again
    document = engine.documents()["a.md"]
    assert (document.state, document.attempts) == ("Indexed", 1)


def test_throttling_is_told_while_it_lasts(engine: Any) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.settle()
    engine.database.run(budgets.throttled, "OpenAI", "words", 60.0)
    engine.reconcile()
    assert engine.condition("Throttled") == ("True", "ProviderThrottled")
    assert engine.condition("Ready")[0] == "True"


def test_a_refused_text_fails_its_document_alone(engine: Any) -> None:
    engine.write("good.md", "# Good\n\nHarmless words.\n")
    engine.write("bad.md", "# Bad\n\nUnspeakable words.\n")
    model(engine, refuses=lambda text: "not allowed" if "Unspeakable" in text else None)
    engine.settle()
    found = engine.documents()
    assert found["good.md"].state == "Indexed"
    assert (found["bad.md"].state, found["bad.md"].reason) == ("Failed", "EmbeddingRefused")


@pytest.mark.parametrize("failure", [Unavailable("no answer"), ProviderRefused("wrong model")])
def test_a_provider_that_is_away_costs_no_document_an_attempt(engine: Any, failure: Exception) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.edit(ingestion={"maxAttemptsPerDocument": 1})
    away = model(engine, failures=[failure] * 6)
    engine.reconcile()
    while away.failures:
        drain_once(engine)
        waiting = engine.documents()["a.md"]
        assert (waiting.state, waiting.reason, waiting.attempts) == ("Pending", "EmbeddingFailed", 0)
        assert engine.condition("Degraded") == ("True", "ProviderUnavailable")
        due_now(engine)
    engine.settle()
    assert engine.documents()["a.md"].state == "Indexed"


def test_a_document_that_the_model_cannot_stand_is_given_up_alone(engine: Any) -> None:
    for name in ("a", "b", "c"):
        engine.write(f"{name}.md", f"# {name}\n\nOne passage of text: {name}.\n")
    engine.edit(ingestion={"maxAttemptsPerDocument": 2})
    stumbling = model(engine)
    stumbling.stumbles = lambda text: "text: b" in text
    engine.reconcile()
    drain_once(engine)
    found = engine.documents()
    assert (found["a.md"].state, found["c.md"].state) == ("Indexed", "Indexed")
    assert (found["b.md"].state, found["b.md"].reason, found["b.md"].attempts) == ("Pending", "EmbeddingFailed", 1)
    due_now(engine)
    drain_once(engine)
    assert (engine.documents()["b.md"].state, engine.documents()["b.md"].attempts) == ("Failed", 2)
    stumbling.stumbles = lambda _text: False
    engine.ask("retry-failed", "now")
    engine.settle()
    assert engine.documents()["b.md"].state == "Indexed"


def test_a_model_that_cannot_be_opened_costs_no_document_an_attempt(engine: Any) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.edit(ingestion={"maxAttemptsPerDocument": 2})
    engine.reconcile()
    engine.sync_only()
    engine.reconcile()
    broken = Closed()
    worker = Worker(engine.database, broken, engine.open_source, WorkerSettings(engine.scratch, threads=1))
    running = threading.Thread(target=worker.run)
    running.start()
    for asked in range(1, 5):
        broken.await_asked(asked)
        await_state(engine, "Pending")
        due_now(engine)
        worker.wake()
    worker.stop()
    running.join(30)
    assert not running.is_alive()
    waiting = engine.documents()["a.md"]
    assert (waiting.state, waiting.reason, waiting.attempts) == ("Pending", "EmbeddingFailed", 0)
    assert waiting.message == "no endpoint is configured"
    due_now(engine)
    engine.settle()
    mended = engine.documents()["a.md"]
    assert (mended.state, mended.reason, mended.attempts) == ("Indexed", None, 1)


class Closed:
    """Opens no model, and tells how often it was asked to."""

    def __init__(self) -> None:
        self._asked = 0
        self._changed = threading.Condition()

    def of(self, _revision: Any, _spec: Any) -> Any:
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
        raise Misconfigured("no endpoint is configured")

    def await_asked(self, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._asked >= times, 30)


def await_state(engine: Any, state: str) -> None:
    """The claim is given back just after the model was asked for."""
    for _ in range(200):
        if engine.documents()["a.md"].state == state:
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"it never came to be {state}")


def drain_once(engine: Any) -> None:
    """Take runs and what is due, without waiting for what is due later."""
    for _ in range(3):
        engine.work_due()
        engine.reconcile()


def test_a_vector_index_is_built_and_what_comes_later_is_found_beside_it(engine: Any) -> None:
    engine.reconciler.limits = Limits(index_from_chunks=5)
    for n in range(12):
        engine.write(f"{n:02}.md", f"# Number {n}\n\nThe keeper of tower {n} is called keeper{n}.\n")
    engine.settle()
    engine.await_builds()
    engine.settle()
    tables = engine.serving.tables
    assert engine.database.run(search.vector_index_exists, tables)
    engine.write("late.md", "# Late\n\nThe keeper of the last tower is called Ingeborg.\n")
    engine.sync()
    vector = model_vector(engine, "keeper of the last tower Ingeborg")
    request = search.SearchRequest(
        index_id=engine.row.id, tables=tables, mode=RetrievalMode.VECTOR, top_k=3, vector=vector
    )
    with engine.database.begin() as connection:
        found = search.search(connection, request)
    assert "Ingeborg" in found.hits[0].chunk.text


def model_vector(engine: Any, text: str) -> Any:
    embedder = engine.embedders.opened["words"]
    return np.asarray(embedder.embed([text], InputType.QUERY).vectors[0])


def test_a_sidecar_gives_metadata_and_a_broken_one_rejects_its_document(engine: Any) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.write("a.md.metadata.json", json.dumps({"metadataAttributes": {"department": "HR", "year": 2026}}))
    engine.write("b.md", "# B\n\nAnother passage of text.\n")
    engine.write("b.md.metadata.json", "{not json")
    engine.settle()
    found = engine.documents()
    assert found["a.md"].metadata["department"] == "HR"
    assert (found["b.md"].state, found["b.md"].reason) == ("Failed", "Corrupt")


BAD_ATTRIBUTES = [
    '"far": 100000000000000000000001',
    '"far": 1e999',
    '"nul": "\\u0000"',
    '"half\\ud800": 1',
    '"l": ["\\udc00"]',
]


@pytest.mark.parametrize("attribute", BAD_ATTRIBUTES)
def test_a_sidecar_that_cannot_be_kept_rejects_its_document_at_once(engine: Any, attribute: str) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.write("a.md.metadata.json", '{"metadataAttributes": {' + attribute + "}}")
    engine.settle()
    found = engine.documents()["a.md"]
    assert (found.state, found.reason, found.attempts) == ("Failed", "Corrupt", 1)
    key = attribute.split('"')[1]
    assert key in (found.message or ""), "the message names the attribute"


def test_a_large_number_comes_back_as_the_float_it_was(engine: Any) -> None:
    """JSONB writes out 1e20 as an integer, which is too long for whoever makes JSON of it again."""
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.write(
        "a.md.metadata.json", '{"metadataAttributes": {"far": 1e20, "farther": -1e30, "exact": 9007199254740992}}'
    )
    engine.settle()
    metadata = engine.documents()["a.md"].metadata
    assert metadata == {"far": 1e20, "farther": -1e30, "exact": 2**53}
    assert {type(value) for value in metadata.values()} == {float, int}
    orjson.dumps(metadata)


def test_a_changed_sidecar_changes_metadata_and_embeds_nothing(engine: Any) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.write("a.md.metadata.json", json.dumps({"metadataAttributes": {"year": 2025}}))
    engine.settle()
    before = engine.embedders.texts
    engine.write("a.md.metadata.json", json.dumps({"metadataAttributes": {"year": 2026}}))
    engine.sync()
    assert engine.documents()["a.md"].metadata["year"] == 2026
    assert engine.embedders.texts == before


def test_an_upload_is_indexed_and_replaced_by_the_next_of_its_name(engine: Any) -> None:
    engine.settle()
    for text in (b"# Up\n\nFirst text.\n", b"# Up\n\nSecond text.\n"):
        with engine.database.begin() as connection:
            upload = uploads.begin(
                connection,
                index_id=engine.row.id,
                namespace="default",
                source="uploads",
                key="up.md",
                media_type=None,
                metadata={"team": "blue"},
                idempotency_key=None,
            )
            uploads.add_part(connection, upload, 0, text)
            uploads.complete(
                connection, upload, size=len(text), sha256=hashlib.sha256(text).hexdigest(), uri="upload://up.md"
            )
        engine.settle()
    document = engine.documents()["up.md"]
    assert (document.state, document.metadata["team"]) == ("Indexed", "blue")
    with engine.database.begin() as connection:
        texts = connection.execute(sa.select(engine.serving.tables.chunk.c.text)).scalars().all()
        kept = connection.execute(sa.select(sa.func.count()).select_from(schema.uploads)).scalar_one()
    assert any("Second" in text for text in texts)
    assert not any("First" in text for text in texts)
    assert kept == 1


def test_a_worker_that_lost_its_lease_writes_nothing(engine: Any) -> None:
    engine.write("a.md", "# A\n\nOne passage of text.\n")
    engine.settle()
    engine.write("a.md", "# A\n\nAnother passage of text.\n")
    engine.ask("sync", "one")
    engine.reconcile()
    engine.sync_only()
    (mine,) = engine.database.run(queue.claim, "me", 10)
    due_now(engine)
    (theirs,) = engine.database.run(queue.claim, "them", 10)
    assert mine.document_id == theirs.document_id
    with engine.database.begin() as connection:
        assert not queue.hold(connection, [mine])
        assert queue.hold(connection, [theirs]) == [theirs]


def test_an_identifier_that_one_passage_holds_comes_first_whatever_the_vectors_say(engine: Any) -> None:
    for n in range(120):
        engine.write(
            f"{n:03}.md",
            f"# Machine {n}\n\nMachine {n} has serial number SN-{n * 7919} and stands in hall {n % 5}. "
            "Its oil is changed every year.\n",
        )
    engine.settle()
    for n in range(5, 120, 10):
        question = f"Where is the machine with serial number SN-{n * 7919}?"
        request = search.SearchRequest(
            index_id=engine.row.id,
            tables=engine.serving.tables,
            mode=RetrievalMode.HYBRID,
            top_k=5,
            vector=model_vector(engine, "Where is the machine"),  # as near to all of them
            keyword=query_terms(question, ["en"]),
            vector_weight=95,
        )
        with engine.database.begin() as connection:
            found = search.search(connection, request)
        assert f"SN-{n * 7919} " in found.hits[0].chunk.text
        assert all(0 <= hit.score <= 1 for hit in found.hits)
