"""Documents are written several at a time, and each still stands for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Embeddings, InputType
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import documents, queue
from ragindex_db.revisions import RevisionRow
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.parsing.sandbox import Sandbox
from ragindex_worker.pipeline import Pipeline


def notes(engine: Any, *names: str) -> None:
    for name in names:
        engine.write(f"{name}.md", f"# {name}\n\nThe {name} stands on its own.\n")


def chunks_by_document(engine: Any) -> dict[int, int]:
    chunk = engine.serving.tables.chunk
    with engine.database.begin() as connection:
        rows = connection.execute(sa.select(chunk.c.document_id, sa.func.count()).group_by(chunk.c.document_id))
        return {row[0]: row[1] for row in rows}


def listed(engine: Any) -> None:
    engine.reconcile()
    engine.sync_only()
    engine.reconcile()


def process(engine: Any, claims: Sequence[queue.Claim]) -> None:
    worker = Worker(engine.database, engine.embedders, engine.open_source, WorkerSettings(scratch=engine.scratch))
    with Sandbox() as sandbox:
        pipeline = Pipeline(engine.database, sandbox, engine.scratch, lambda: False)
        pipeline.process(claims, worker.target(claims[0].revision_id, claims[0].index_id))


class TooLargeForHalfVectors(HashEmbedder):
    """Numbers for one word that no database takes."""

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings:
        embedded = super().embed(texts, input_type)
        for row, text in enumerate(texts):
            if "lighthouse" in text:
                embedded.vectors[row] = np.float32(1e6)
        return embedded


class Opened:
    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        return self._embedder


def test_small_documents_share_transactions(engine: Any) -> None:
    notes(engine, *(f"tower{n}" for n in range(12)))
    engine.settle()
    chunk = engine.serving.tables.chunk
    with engine.database.begin() as connection:
        transaction = sa.cast(sa.literal_column("xmin"), sa.Text)
        used = connection.execute(sa.select(sa.func.count(transaction.distinct())).select_from(chunk)).scalar_one()
    assert len(chunks_by_document(engine)) == 12
    assert used < 12


def test_a_document_that_cannot_be_written_fails_alone(engine: Any) -> None:
    engine.embedders = Opened(TooLargeForHalfVectors(64))
    notes(engine, "harbour", "lighthouse", "pier")
    listed(engine)
    process(engine, engine.database.run(queue.claim, "me", 16))
    found = engine.documents()
    assert {key: row.state for key, row in found.items()} == {
        "harbour.md": "Indexed",
        "lighthouse.md": "Pending",
        "pier.md": "Indexed",
    }
    assert (found["lighthouse.md"].reason, found["lighthouse.md"].attempts) == ("Internal", 1)
    assert chunks_by_document(engine) == {found["harbour.md"].id: 1, found["pier.md"].id: 1}


def test_of_a_group_only_those_are_written_that_are_still_ours(engine: Any) -> None:
    notes(engine, "harbour", "lighthouse", "pier", "quay")
    listed(engine)
    claims = {claim.key: claim for claim in engine.database.run(queue.claim, "me", 16)}
    engine.database.run(documents.delete, engine.row.id, [claims["lighthouse.md"].document_id])
    engine.database.run(queue.requeue, engine.row.id, [claims["pier.md"].document_id])
    process(engine, list(claims.values()))
    found = engine.documents()
    assert {key: row.state for key, row in found.items()} == {
        "harbour.md": "Indexed",
        "pier.md": "Pending",
        "quay.md": "Indexed",
    }
    assert chunks_by_document(engine) == {found["harbour.md"].id: 1, found["quay.md"].id: 1}
