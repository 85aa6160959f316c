"""Fills an index by several processes at once, as workers do, and tells what that cost apart from making the corpus."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass

from benchmarks import corpus
from benchmarks.corpus import Document
from benchmarks.machine import cpu_seconds
from benchmarks.stage import INSTALLATION, NAMESPACE, Index, Stage, add_documents, pieces, write
from benchmarks.writers import sealing
from ragindex_db import contents, indexes, revisions
from ragindex_db.engine import Database, DatabaseSettings

_WRITERS = 2
_DOCUMENTS_AT_ONCE = 50
_PORTION = 2_000  # passages a writer takes at a time: what the corpus makes at once


@dataclass(frozen=True, slots=True)
class Filled:
    """``seconds`` that a writer spent in its transactions, on average; processor time of writers and sealer, and of
    PostgreSQL."""

    chunks: int
    seconds: float
    cpu_seconds: float
    database_cpu_seconds: float


def find(database: Database, name: str) -> Index:
    """An index of the stage's, from another process."""
    with database.begin() as connection:
        row = indexes.find(connection, INSTALLATION, NAMESPACE, name)
        assert row.serving_revision_id is not None
        return Index(row, revisions.get(connection, row.serving_revision_id).tables, 0)


def fill(stage: Stage, index: Index, chunks: int) -> Filled:
    """The first so many passages of the corpus, sealed beside the writing, and their documents' whole texts, of
    which citations quote."""
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.SimpleQueue[tuple[float, float]] = context.SimpleQueue()
    processes = [
        context.Process(target=_fill, args=(stage.url, index.row.name, chunks, number, told))
        for number in range(_WRITERS)
    ]
    database_before, own_before = cpu_seconds(stage.server_pid), time.process_time()
    with sealing(stage.database, index.tables):
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            if process.exitcode != 0:
                raise RuntimeError(f"a writer ended with {process.exitcode}")
    stage.seal(index)
    wall, cpu = (sum(each) for each in zip(*(told.get() for _ in processes), strict=True))
    own, database = time.process_time() - own_before, cpu_seconds(stage.server_pid) - database_before
    return Filled(chunks, wall / _WRITERS, cpu + own, database)


def _text(index: Index, document: Document, document_id: int) -> contents.Text:
    text = "\n\n".join(passage.text for passage in document.passages)
    return contents.Text(document_id, index.row.namespace, f"{document.number:016x}", text)


def _fill(
    url: str, name: str, chunks: int, number: int, told: multiprocessing.SimpleQueue[tuple[float, float]]
) -> None:
    database = Database(DatabaseSettings(url=url, pool_size=1, application_name=f"filling-{number}"))
    index = find(database, name)
    wall = cpu = 0.0
    for start in range(number * _PORTION, chunks, _WRITERS * _PORTION):
        for part in pieces(corpus.documents(min(start + _PORTION, chunks), start), _DOCUMENTS_AT_ONCE):
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            with database.begin() as connection:
                ids = add_documents(connection, index, part)
                written = list(zip(part, ids, strict=True))
                contents.store(connection, [_text(index, document, i) for document, i in written])
                write(connection, index, written)
            wall += time.perf_counter() - wall_began
            cpu += time.process_time() - cpu_began
    database.close()
    told.put((wall, cpu))
