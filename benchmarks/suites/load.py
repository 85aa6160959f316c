"""How fast embedded passages are written, and what ingestion costs beside its model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from psycopg import sql

from benchmarks import corpus, ingestion, machine
from benchmarks.corpus import Document
from benchmarks.results import Bars, Figure, Outcome, at_least, at_most
from benchmarks.stage import Index, Stage, add_documents, pieces, say, write
from ragindex_db.engine import Connection

_A_TRANSACTION = 50  # documents
_OUT = sql.SQL("COPY {table} TO {file} (FORMAT binary)")
_IN = sql.SQL("COPY {table} FROM {file} (FORMAT binary)")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, and of this process and the server together."""

    seconds: float
    cpu_seconds: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


def run(stage: Stage, *, quick: bool) -> Outcome:
    chunks, rounds, files = (2_000, 2, 100) if quick else (10_000, 3, 1_500)
    documents = list(corpus.documents(chunks))
    costs: dict[str, list[Cost]] = {"together": [], "single": [], "vectors": [], "all": []}
    for _ in range(rounds):
        copied = _copied(stage, documents)
        costs["together"].append(_written(stage, documents, _A_TRANSACTION))
        costs["single"].append(_written(stage, documents, 1))
        costs["vectors"].append(copied["vector"])
        costs["all"].append(sum(copied.values(), Cost(0, 0)))
        say(", ".join(f"{name} {chunks / each[-1].seconds:,.0f}/s" for name, each in costs.items()))
    rates = {name: statistics.median(chunks / cost.seconds for cost in each) for name, each in costs.items()}
    cpu_ms = {
        name: statistics.median(cost.cpu_seconds for cost in each) * 1000 / chunks for name, each in costs.items()
    }

    def share(of: str) -> float:
        pairs = zip(costs["together"], costs[of], strict=True)
        return statistics.median(best.seconds / mine.seconds for mine, best in pairs)

    def cost(name: str) -> str:
        return f"{cpu_ms[name]:.2g} ms of processor time a chunk"

    return Outcome(
        data=f"{chunks:,} passages in documents of {corpus.CHUNKS_A_DOCUMENT}; {files:,} Markdown files",
        figures=[
            Figure(
                f"text, vectors and postings, {_A_TRANSACTION} documents a commit",
                rates["together"],
                "chunks/s",
                note=cost("together"),
            ),
            Figure("the same, one document a commit", rates["single"], "chunks/s", note=cost("single")),
            Figure("server-side COPY, vector table alone", rates["vectors"], "chunks/s", note=cost("vectors")),
            Figure("server-side COPY, all tables", rates["all"], "chunks/s", note=cost("all")),
            Figure("share of COPY of the vector table", share("vectors"), "", at_least(0.7), ratio=True),
            Figure("share of COPY of all tables", share("all"), "", ratio=True),
            *_pipeline(stage, files),
        ],
        details={name: [asdict(each) for each in found] for name, found in costs.items()},
        charts={
            "load": Bars(
                "Embedded passages written a second",
                "/s",
                [
                    ("COPY, vector table alone", rates["vectors"]),
                    ("COPY, all tables", rates["all"]),
                    (f"RagIndex, {_A_TRANSACTION} a commit", rates["together"]),
                    ("RagIndex, one a commit", rates["single"]),
                ],
                line=0.7 * rates["vectors"],
            )
        },
    )


@contextmanager
def _watched(stage: Stage, found: list[Cost]) -> Iterator[None]:
    cpu, started = machine.cpu_seconds(stage.server_pid) + time.process_time(), time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    found.append(Cost(seconds, machine.cpu_seconds(stage.server_pid) + time.process_time() - cpu))


def _written(stage: Stage, documents: Sequence[Document], a_transaction: int) -> Cost:
    """RagIndex's writer over fresh tables; the catalogue's rows are there before."""
    found: list[Cost] = []
    index = stage.empty_index("written")
    try:
        with stage.database.begin() as connection:
            ids = add_documents(connection, index, documents)
        with _watched(stage, found):
            for part in pieces(zip(documents, ids, strict=True), a_transaction):
                with stage.database.begin() as connection:
                    write(connection, index, part)
        return found[0]
    finally:
        stage.drop(index)


def _copied(stage: Stage, documents: Sequence[Document]) -> dict[str, Cost]:
    """The server itself, over the same rows of each table and its indexes."""
    source, target = stage.empty_index("copied-from"), stage.empty_index("copied")
    try:
        for part in pieces(enumerate(documents, 1), _A_TRANSACTION):
            with stage.database.begin() as connection:
                write(connection, source, [(document, document_id) for document_id, document in part])
        return {name: _copy(stage, *tables) for name, tables in _tables(source, target).items()}
    finally:
        stage.drop(source)
        stage.drop(target)


def _tables(source: Index, target: Index) -> dict[str, tuple[sa.Table, sa.Table]]:
    """What the writer fills, by name."""
    one, other = source.tables, target.tables
    return {
        "chunk": (one.chunk, other.chunk),
        "vector": (one.vector, other.vector),
        "terms": (one.keyword.terms, other.keyword.terms),
        "head": (one.keyword.head, other.keyword.head),
    }


def _copy(stage: Stage, source: sa.Table, target: sa.Table) -> Cost:
    """Out of one table into another by way of a file, of which only the way in counts."""
    found: list[Cost] = []
    with stage.database.begin() as connection:
        # The server's own folder: the one place that it surely may write to and read from.
        folder = connection.execute(sa.select(sa.func.current_setting("data_directory"))).scalar_one()
    file = Path(folder) / f"{source.name}.copy"
    with stage.database.begin() as connection:
        _execute(connection, _OUT.format(table=_named(source), file=str(file)))
    try:
        with _watched(stage, found), stage.database.begin() as connection:
            _execute(connection, _IN.format(table=_named(target), file=str(file)))
        return found[0]
    finally:
        file.unlink()


def _named(table: sa.Table) -> sql.Identifier:
    return sql.Identifier(str(table.schema), table.name)


def _execute(connection: Connection, statement: sql.Composed) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(statement)


def _pipeline(stage: Stage, files: int) -> list[Figure]:
    """The real worker over a folder of Markdown, with a model that answers at once."""
    with ingestion.folder_index(stage, files) as index:
        before = machine.cpu_seconds(stage.server_pid)
        told = ingestion.drained(stage, index)
        database = machine.cpu_seconds(stage.server_pid) - before
        chunks = max(index.counts.chunks, 1)
    worker = (told.worker_seconds + told.parser_seconds) * 1000 / chunks
    figures = [
        Figure("pipeline: files", files, "files", note=f"{chunks:,} chunks"),
        Figure("pipeline: processor time of the worker", worker, "ms a chunk", note="its parser included"),
        Figure("pipeline: processor time of PostgreSQL", database * 1000 / chunks, "ms a chunk"),
        Figure("pipeline: all of it", worker + database * 1000 / chunks, "ms a chunk", at_most(1.0)),
        Figure(
            "pipeline: wall clock on one core", told.seconds * 1000 / chunks, "ms a chunk", note="worker and parser"
        ),
        Figure(
            "pipeline: peak memory of worker and parser",
            told.peak_mib + told.parser_peak_mib,
            "MiB",
            at_most(600),
            note=f"the worker {told.peak_mib:.0f}, and {told.early_mib:.0f} when a quarter was done",
        ),
    ]
    say(f"pipeline: {worker:.2f} ms a chunk in the worker, {database * 1000 / chunks:.2f} ms in PostgreSQL")
    return figures
