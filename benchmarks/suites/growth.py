"""What an index costs as it grows: time to fill and to build, bytes of each part, memory, and how long searches take.

A small and a larger index are measured whole, each with its vector index built anew. The largest step has vectors
alone, which decide how far one server goes; how the keyword arm grows that far, the suite ``keyword`` measures.
docs/sizing.md extrapolates from what is found here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from pgvector import HalfVector, Vector
from psycopg import sql

from benchmarks import corpus, timing
from benchmarks.corpus import Query
from benchmarks.filling import Filled, fill
from benchmarks.machine import cpu_seconds
from benchmarks.memory import held_mib
from benchmarks.results import Figure, Lines, Outcome, Series
from benchmarks.stage import USUAL, USUAL_QUICK, Index, Stage, say
from benchmarks.timing import Times
from ragindex_core.analysis import query_terms
from ragindex_core.object.spec import RetrievalMode
from ragindex_db import schema, serving
from ragindex_db.data_tables import RevisionTables, revision_tables
from ragindex_db.search import SearchRequest, build_vector_index, drop_vector_index
from ragindex_db.search.vector import prepared_query, search_vectors

_M, _EF_CONSTRUCTION, _EF_SEARCH, _TOP_K = 16, 128, 100, 10
#: Dimensions and element types whose bytes are looked at, on few rows: pages fill as they do on many.
_SHAPES = ((1024, "HalfVector"), (512, "HalfVector"), (256, "HalfVector"), (1536, "HalfVector"), (1024, "Vector"))
_SHAPED_ROWS = 3_000
_SCRATCH_REVISION = 2_000_000_000  # of tables that no revision has
_MODES = (RetrievalMode.VECTOR, RetrievalMode.KEYWORD, RetrievalMode.HYBRID)


@dataclass(frozen=True, slots=True)
class Step:
    """An index of so many ``chunks``; ``bytes_`` is of each part, ``filled`` how it was filled, where that was watched.
    ``asked`` holds the vector arm alone, by its index and exactly, and whole searches where there is text: how long one
    took, and its processor milliseconds in all processes."""

    chunks: int
    build_seconds: float
    build_cpu_seconds: float
    recall: float
    bytes_: Mapping[str, int]
    held_mib: float
    asked: Mapping[str, tuple[Times, float]]
    filled: Filled | None = field(default=None)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "asked": {name: times.as_json() | {"cpu_ms": cpu} for name, (times, cpu) in self.asked.items()}
        }


@dataclass(frozen=True, slots=True)
class Shape:
    """``bytes_`` and processor time of the build are of a row."""

    dimensions: int
    element_type: str
    bytes_: Mapping[str, float]
    build_cpu_ms: float


def run(stage: Stage, *, quick: bool) -> Outcome:
    small, large, vectors = (2_000, USUAL_QUICK, 0) if quick else (10_000, USUAL, 500_000)
    queries = corpus.queries(30 if quick else 60)
    steps = [_filled(stage, small, queries), _measured(stage, stage.index(large), queries)]
    if vectors:
        steps.append(_vectors_alone(stage, vectors, queries))
    return _outcome(steps, [_shaped(stage, *shape) for shape in (_SHAPES[:1] if quick else _SHAPES)])


def _filled(stage: Stage, chunks: int, queries: Sequence[Query]) -> Step:
    """Watched from the first row on."""
    index = stage.empty_index("growth")
    try:
        say(f"filling an index of {chunks:,} passages")
        filled = fill(stage, index, chunks)
        stage.vacuum()
        return _measured(stage, Index(index.row, index.tables, chunks), queries, filled)
    finally:
        stage.drop(index)


def _measured(stage: Stage, index: Index, queries: Sequence[Query], filled: Filled | None = None) -> Step:
    step = _arm(stage, index, queries)
    asked = dict(step.asked)
    for mode in _MODES:
        asked[f"{mode.value.lower()} search"] = _asked(stage, partial(_search, stage, index, mode), queries)
    return Step(
        chunks=index.chunks,
        build_seconds=step.build_seconds,
        build_cpu_seconds=step.build_cpu_seconds,
        recall=step.recall,
        bytes_=_bytes(stage, index),
        held_mib=held_mib(stage.server_pid),
        asked=asked,
        filled=filled,
    )


def _vectors_alone(stage: Stage, chunks: int, queries: Sequence[Query]) -> Step:
    index = stage.empty_index("growth-vectors")
    try:
        say(f"copying {chunks:,} vectors")
        with stage.database.begin() as connection:
            _copy_vectors(connection, index.tables, corpus.vectors(chunks))
        stage.vacuum()
        return _arm(stage, Index(index.row, index.tables, chunks), queries)
    finally:
        stage.drop(index)


def _copy_vectors(connection: sa.Connection, tables: RevisionTables, vectors: corpus.Vectors) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    table = sql.Identifier(str(tables.vector.schema), tables.vector.name)
    statement = sql.SQL("COPY {} (chunk_id, document_id, sealed, embedding) FROM STDIN (FORMAT BINARY)").format(table)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        half = tables.element_type == "HalfVector"
        copy.set_types(["int8", "int8", "bool", "halfvec" if half else "vector"])
        wrap = HalfVector if half else Vector
        for number, vector in enumerate(vectors):
            copy.write_row((number + 1, number // corpus.CHUNKS_A_DOCUMENT + 1, True, wrap(vector)))


def _shaped(stage: Stage, dimensions: int, element_type: str) -> Shape:
    """The corpus' vectors turned into some of as many dimensions."""
    projection = np.random.default_rng(0).standard_normal((corpus.DIMENSIONS, dimensions), dtype=np.float32)
    vectors = corpus.vectors(_SHAPED_ROWS) @ projection
    tables = revision_tables(_SCRATCH_REVISION, dimensions, element_type)
    with stage.database.begin() as connection:
        tables.metadata.drop_all(connection)
        tables.metadata.create_all(connection)
        _copy_vectors(connection, tables, vectors)
    before = cpu_seconds(stage.server_pid)
    build_vector_index(stage.database, tables, m=_M, ef_construction=_EF_CONSTRUCTION)
    cpu = cpu_seconds(stage.server_pid) - before
    with stage.database.begin() as connection:
        bytes_ = _vector_bytes(connection, tables)
        tables.metadata.drop_all(connection)
    each = {part: number / _SHAPED_ROWS for part, number in bytes_.items()}
    return Shape(dimensions, element_type, each, cpu * 1000 / _SHAPED_ROWS)


def _arm(stage: Stage, index: Index, queries: Sequence[Query]) -> Step:
    """The vector arm: its index built anew, and asked."""
    drop_vector_index(stage.database, index.tables)
    cpu_before, started = cpu_seconds(stage.server_pid), time.perf_counter()
    build_vector_index(stage.database, index.tables, m=_M, ef_construction=_EF_CONSTRUCTION)
    build_seconds = time.perf_counter() - started
    build_cpu_seconds = cpu_seconds(stage.server_pid) - cpu_before
    say(f"vector index of {index.chunks:,} built in {build_seconds:.0f} s")
    few = queries[: len(queries) // 3]
    exact: list[list[int]] = []
    found: list[list[int]] = []
    asked = {
        "exact vector arm": _asked(stage, partial(_nearest, stage, index, exact, has_index=False), few),
        "vector arm": _asked(stage, partial(_nearest, stage, index, found, has_index=True), queries),
    }
    with stage.database.begin() as connection:
        bytes_ = _vector_bytes(connection, index.tables)
    return Step(
        chunks=index.chunks,
        build_seconds=build_seconds,
        build_cpu_seconds=build_cpu_seconds,
        recall=_recall(found[-len(queries) :], exact[-len(few) :]),
        bytes_=bytes_,
        held_mib=held_mib(stage.server_pid),
        asked=asked,
    )


def _asked(stage: Stage, ask: Callable[[Query], None], queries: Sequence[Query]) -> tuple[Times, float]:
    """Each twice, the second time by the clock."""
    for query in queries:
        ask(query)
    return timing.costed(stage.server_pid, ask, queries)


def _nearest(stage: Stage, index: Index, found: list[list[int]], query: Query, *, has_index: bool) -> None:
    with stage.database.begin() as connection:
        vector = prepared_query(index.tables, query.vector)
        hits = search_vectors(connection, index.tables, vector, _TOP_K, ef_search=_EF_SEARCH, has_index=has_index).hits
    found.append([hit.chunk_id for hit in hits])


def _search(stage: Stage, index: Index, mode: RetrievalMode, query: Query) -> None:
    request = SearchRequest(
        index_id=index.row.id,
        tables=index.tables,
        mode=mode,
        top_k=_TOP_K,
        vector=query.vector,
        keyword=query_terms(query.text, (corpus.LANGUAGE,)),
        ef_search=_EF_SEARCH,
        has_index=True,
    )
    stage.database.run(serving.search_all, [request])


def _recall(found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> float:
    shares = [len(set(mine) & set(true)) / len(true) for mine, true in zip(found, exact, strict=False)]
    return sum(shares) / len(shares)


def _size(connection: sa.Connection, *parts: sa.TableClause) -> int:
    """With indexes and what is stored beside the rows."""
    names = [f"{part.schema}.{part.name}" for part in parts]
    return sum(connection.execute(sa.select(sa.func.pg_total_relation_size(name))).scalar_one() for name in names)


def _vector_bytes(connection: sa.Connection, tables: RevisionTables) -> dict[str, int]:
    hnsw = _size(connection, sa.table(tables.vector_index_name, schema=tables.vector.schema))
    return {"vectors": _size(connection, tables.vector) - hnsw, "vector index": hnsw}


def _bytes(stage: Stage, index: Index) -> dict[str, int]:
    """By part. Whole texts and the catalogue are kept for all indexes together: this one's share of the documents."""
    tables, words = index.tables, index.tables.keyword
    with stage.database.begin() as connection:
        size = partial(_size, connection)
        rows = sa.func.count().filter(schema.documents.c.index_id == index.row.id)
        part, whole = connection.execute(sa.select(rows, sa.func.count()).select_from(schema.documents)).one()
        found = {
            "texts": size(tables.chunk),
            **_vector_bytes(connection, tables),
            "terms": size(words.terms),
            "postings": size(words.head, words.removed, words.segment, words.posting),
            "catalogue": size(schema.documents, schema.document_metadata) * part // whole,
        }
        held = sa.select(sa.func.count()).select_from(schema.contents.join(schema.documents))
        of_index = connection.execute(held.where(schema.documents.c.index_id == index.row.id)).scalar_one()
        if of_index:
            found["whole texts"] = size(schema.contents) * of_index // connection.execute(held).scalar_one()
        return found


def _outcome(steps: Sequence[Step], shapes: Sequence[Shape]) -> Outcome:
    figures = []
    for step in steps:
        at = f"{step.chunks:,} passages"
        figures += [
            Figure(f"{at}: build of the vector index", step.build_seconds, "s"),
            Figure(f"{at}: processor time of the build", step.build_cpu_seconds * 1000 / step.chunks, "ms a passage"),
            Figure(f"{at}: recall@{_TOP_K}", step.recall, ""),
            Figure(f"{at}: memory of PostgreSQL", step.held_mib, "MiB"),
        ]
        if step.filled is not None:
            filled, note = step.filled, "two writers and the sealer: text, vectors, terms, postings"
            cpu = filled.cpu_seconds + filled.database_cpu_seconds
            figures += [
                Figure(f"{at}: load", filled.chunks / filled.seconds, "rows/s", note=note),
                Figure(f"{at}: processor time of the load", cpu * 1000 / filled.chunks, "ms a passage"),
            ]
        for name, (times, cpu_ms) in step.asked.items():
            figures.append(Figure(f"{at}: {name}, p50", times.p50, "ms", note=f"{cpu_ms:.2f} ms of processor time"))
        figures += [
            Figure(f"{at}: {part}", number / step.chunks, "bytes a passage") for part, number in step.bytes_.items()
        ]
    for shape in shapes:
        named = f"{shape.dimensions} dimensions, {shape.element_type}"
        figures += [Figure(f"{named}: {part}", size, "bytes a passage") for part, size in shape.bytes_.items()]
        note = f"of {_SHAPED_ROWS:,} rows"
        figures.append(Figure(f"{named}: processor time of the build", shape.build_cpu_ms, "ms a passage", note=note))
    return Outcome(
        data=f"up to {steps[-1].chunks:,} passages of {corpus.DIMENSIONS} dimensions as halfvec, m {_M}, "
        f"ef_construction {_EF_CONSTRUCTION}, ef_search {_EF_SEARCH}",
        figures=figures,
        details={"steps": [step.as_json() for step in steps], "shapes": [asdict(shape) for shape in shapes]},
        charts={
            "growth-latency": Lines(
                "Search as an index grows, p50",
                "passages",
                "ms",
                [
                    Series(name, [(step.chunks, step.asked[name][0].p50) for step in steps if name in step.asked])
                    for name in steps[1].asked
                ],
            ),
            "growth-build": Lines(
                "Building the vector index",
                "passages",
                "s",
                [Series("seconds", [(step.chunks, step.build_seconds) for step in steps])],
            ),
            "growth-bytes": Lines(
                "Bytes on disk",
                "passages",
                "MiB",
                [
                    Series(part, [(step.chunks, step.bytes_[part] / 2**20) for step in steps if part in step.bytes_])
                    for part in steps[1].bytes_
                ],
            ),
        },
    )
