"""How fast embedded passages are written, and what ingestion costs beside its model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa

from benchmarks import corpus, ingestion, machine
from benchmarks.corpus import Document
from benchmarks.results import Bars, Figure, Outcome, at_least, at_most
from benchmarks.stage import Index, Stage, add_documents, pieces, say, write

_A_TRANSACTION = 50  # documents


def run(stage: Stage, *, quick: bool) -> Outcome:
    chunks, rounds, files = (4_000, 2, 200) if quick else (20_000, 3, 2_000)
    documents = list(corpus.documents(chunks))
    ours, single, copied = [], [], []
    for _ in range(rounds):
        ours.append(chunks / _written(stage, documents, _A_TRANSACTION))
        single.append(chunks / _written(stage, documents, 1))
        copied.append(chunks / _copied(stage, documents))
        say(f"RagIndex {ours[-1]:,.0f} chunks/s, a document a commit {single[-1]:,.0f}, COPY {copied[-1]:,.0f} rows/s")
    shares = [mine / best for mine, best in zip(ours, copied, strict=True)]
    best, one, limit = (sorted(each)[len(each) // 2] for each in (ours, single, copied))
    return Outcome(
        data=f"{chunks:,} passages in documents of {corpus.CHUNKS_A_DOCUMENT}; {files:,} Markdown files",
        figures=[
            Figure("RagIndex's writer: text, vectors, postings", best, "chunks/s"),
            Figure("the same, each document committed by itself", one, "chunks/s"),
            Figure(
                "server-side COPY of the vector table alone", limit, "rows/s", note="binary, from a file, indexes kept"
            ),
            Figure("writer as a share of that COPY", sorted(shares)[len(shares) // 2], "", at_least(0.7), ratio=True),
            *_pipeline(stage, files),
        ],
        charts={
            "load": Bars(
                "Embedded passages written",
                "/s",
                [("COPY, vectors alone", limit), ("RagIndex, 50 a commit", best), ("RagIndex, 1 a commit", one)],
                line=0.7 * limit,
            )
        },
    )


def _written(stage: Stage, documents: Sequence[Document], a_transaction: int) -> float:
    """Seconds of RagIndex's writer over fresh tables; the catalogue's rows are there before."""
    index = stage.empty_index("written")
    try:
        with stage.database.begin() as connection:
            ids = add_documents(connection, index, documents)
        started = time.perf_counter()
        for part in pieces(zip(documents, ids, strict=True), a_transaction):
            with stage.database.begin() as connection:
                for document, document_id in part:
                    write(connection, index, document, document_id)
        return time.perf_counter() - started
    finally:
        stage.drop(index)


def _copied(stage: Stage, documents: Sequence[Document]) -> float:
    """Seconds of the server itself, over the same rows of the vector table and its indexes."""
    source, target = stage.empty_index("copied-from"), stage.empty_index("copied")
    try:
        for part in pieces(enumerate(documents, 1), _A_TRANSACTION):
            with stage.database.begin() as connection:
                for document_id, document in part:
                    write(connection, source, document, document_id)
        with stage.database.begin() as connection:
            # The server's own folder: the one place that it surely may write to and read from.
            folder = connection.execute(sa.select(sa.func.current_setting("data_directory"))).scalar_one()
            file = f"{folder}/benchmark-{source.tables.revision_id}.copy"
            connection.execute(_copy(source, "TO", file))
        with stage.database.begin() as connection:
            started = time.perf_counter()
            connection.execute(_copy(target, "FROM", file))
        seconds = time.perf_counter() - started
        (stage.folder / "postgres" / "pgdata" / file.rpartition("/")[2]).unlink()
        return seconds
    finally:
        stage.drop(source)
        stage.drop(target)


def _copy(index: Index, way: str, file: str) -> sa.TextClause:
    """COPY takes no parameters: the names are generated and the path is the server's own."""
    return sa.text(f"COPY ragindex_data.{index.tables.vector.name} {way} '{file}' (FORMAT binary)")


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
