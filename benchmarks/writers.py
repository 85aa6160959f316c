"""Several processes that write documents into one revision at once, as workers do, while it is searched and sealed."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.synchronize import Barrier
from typing import TypeAlias

from benchmarks import corpus
from benchmarks.stage import terms
from ragindex_core.document import Chunk, Span
from ragindex_core.errors import RagIndexError
from ragindex_db import keyword, writer
from ragindex_db.data_tables import RevisionTables, revision_tables
from ragindex_db.engine import Database, DatabaseSettings

PASSAGES = 2  # of a document: about a page
_KNOWN = 500  # documents a writer goes on to replace


@dataclass(frozen=True, slots=True)
class Written:
    documents: int
    replaced: int
    refused: int  # transactions that the database ended: deadlocks, above all
    seconds: float
    cpu_seconds: float  # of the writers themselves

    @property
    def rate(self) -> float:
        return self.documents / self.seconds


#: Documents, replaced ones, refused ones, seconds, processor seconds.
_Told: TypeAlias = tuple[int, int, int, float, float]


def run(url: str, revision_id: int, *, writers: int, seconds: float) -> Written:
    """Every writer adds documents and replaces, in an order of its own, such as all of them share."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(writers + 1)
    told: multiprocessing.SimpleQueue[_Told] = context.SimpleQueue()
    processes = [
        context.Process(target=_write, args=(url, revision_id, seed, seconds, start, told)) for seed in range(writers)
    ]
    for process in processes:
        process.start()
    start.wait()
    counts = [told.get() for _ in processes]
    for process in processes:
        process.join()
    return Written(
        documents=sum(count[0] for count in counts),
        replaced=sum(count[1] for count in counts),
        refused=sum(count[2] for count in counts),
        seconds=statistics.mean(count[3] for count in counts),
        cpu_seconds=sum(count[4] for count in counts),
    )


def _write(
    url: str,
    revision_id: int,
    seed: int,
    seconds: float,
    start: Barrier,
    told: multiprocessing.SimpleQueue[_Told],
) -> None:
    database = Database(DatabaseSettings(url=url, pool_size=1, application_name=f"writer-{seed}"))
    tables = revision_tables(revision_id, corpus.DIMENSIONS, "HalfVector")
    passages = [p for document in islice(corpus.documents(1000), 100) for p in document.passages]
    chance = random.Random(seed)
    with database.begin():
        start.wait()
    began, used = time.perf_counter(), time.process_time()
    new = replaced = refused = 0
    while time.perf_counter() < began + seconds:
        again = new > 0 and chance.random() < 0.5
        number = chance.randrange(_KNOWN) if again else (seed + 1) * 1_000_000 + new
        chunks = [
            writer.EmbeddedChunk(
                Chunk(i, passage.text, Span(i * corpus.STRIDE, i * corpus.STRIDE + len(passage.text))),
                passage.vector,
                terms(passage.analysed),
            )
            for i, passage in enumerate(chance.sample(passages, PASSAGES))
        ]
        document = writer.DocumentChunks(10_000_000 + number, "benchmarks", "1", 1, corpus.LANGUAGE, None, chunks)
        try:
            with database.begin() as connection:
                writer.replace_chunks(connection, tables, [document], sealed=True)
        except RagIndexError:
            refused += 1
        else:
            replaced += again
            new += not again
    told.put((new + replaced, replaced, refused, time.perf_counter() - began, time.process_time() - used))
    database.close()


@contextmanager
def sealing(database: Database, tables: RevisionTables) -> Iterator[None]:
    """The background step, as often as there is a whole segment to seal."""
    stopping = threading.Event()

    def step() -> None:
        while not stopping.is_set():
            if database.run(keyword.seal, tables.keyword, 960).idle:
                stopping.wait(0.2)

    thread = threading.Thread(target=step, name="sealing")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
