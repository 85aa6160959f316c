"""The state of an index is what the catalogue says; builds replace, never block, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa

from ragindex_core.errors import NotReady
from ragindex_db.data_tables import revision_tables
from ragindex_db.engine import Database
from ragindex_db.search import (
    IndexState,
    VectorIndex,
    build_vector_index,
    can_be_indexed,
    drop_vector_index,
    vector_index_bloat,
    vector_index_exists,
    vector_index_state,
)
from ragindex_db.search.vector_index import index_names


def state(corpus: Any) -> VectorIndex:
    found: VectorIndex = corpus.database.run(vector_index_state, corpus.tables)
    return found


def build(corpus: Any, m: int = 16, *, again: bool = False) -> None:
    build_vector_index(corpus.database, corpus.tables, m=m, ef_construction=64, again=again)


def names(corpus: Any) -> set[str]:
    with corpus.database.begin() as connection:
        rows = sa.inspect(connection).get_indexes(corpus.tables.vector.name, schema=corpus.tables.vector.schema)
    return {str(row["name"]) for row in rows} & set(index_names(corpus.tables))


def test_absent_then_valid_then_absent_again(corpus: Any) -> None:
    corpus.fill(2, 5)
    assert state(corpus) == VectorIndex(IndexState.ABSENT)
    assert not corpus.database.run(vector_index_exists, corpus.tables)
    build(corpus)
    found = state(corpus)
    assert (found.state, found.m, found.ef_construction) == (IndexState.VALID, 16, 64)
    assert found.size_bytes > 0
    assert corpus.database.run(vector_index_exists, corpus.tables)
    drop_vector_index(corpus.database, corpus.tables)
    assert state(corpus).state is IndexState.ABSENT


def test_other_parameters_replace_the_index_and_the_same_do_nothing(corpus: Any) -> None:
    corpus.fill(2, 5)
    for m in (16, 8, 8, 24):
        build(corpus, m)
        assert state(corpus).m == m
        assert len(names(corpus)) == 1


@contextmanager
def build_under_way(corpus: Any, m: int = 16, *, again: bool = False) -> Iterator[Future[None]]:
    """A build that waits at its last step, for a transaction that could still see the table without the index."""
    with ThreadPoolExecutor(1) as threads, corpus.database.engine.connect() as old:
        old.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        old.execute(sa.select(sa.func.count()).select_from(corpus.tables.vector))
        future = threads.submit(build, corpus, m, again=again)
        until(lambda: bool(backends(corpus)))
        yield future


def until(holds: Callable[[], bool]) -> None:
    pause = Event()
    for _ in range(1000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it never came to that")


def backends(corpus: Any) -> list[int]:
    """Of builds that have made their index and fill it."""
    progress = sa.table("pg_stat_progress_create_index", *map(sa.column, ("pid", "phase", "index_relid")))
    with corpus.database.begin() as connection:
        statement = sa.select(progress.c.pid).where(progress.c.phase == "waiting for old snapshots")
        return list(connection.execute(statement).scalars())


def cancel(corpus: Any) -> None:
    with corpus.database.begin() as connection:
        connection.execute(sa.select(sa.func.pg_cancel_backend(backends(corpus)[0])))


def test_a_live_build_is_seen_and_not_touched(corpus: Any) -> None:
    corpus.fill(2, 5)
    with build_under_way(corpus) as future:
        assert state(corpus).state is IndexState.BUILDING
        assert corpus.database.run(vector_index_exists, corpus.tables)
        with pytest.raises(NotReady, match="another index"):
            build(corpus)
        with pytest.raises(NotReady, match="another index"):
            drop_vector_index(corpus.database, corpus.tables)
    future.result(timeout=30)
    assert state(corpus).state is IndexState.VALID


def test_an_abandoned_build_is_seen_and_built_anew(corpus: Any) -> None:
    corpus.fill(2, 5)
    with build_under_way(corpus) as future:
        cancel(corpus)
        with pytest.raises(NotReady):
            future.result(timeout=30)
    assert state(corpus).state is IndexState.ABANDONED
    build(corpus)
    assert state(corpus).state is IndexState.VALID
    assert len(names(corpus)) == 1


def test_an_abandoned_build_can_be_dropped(corpus: Any) -> None:
    corpus.fill(2, 5)
    with build_under_way(corpus) as future:
        cancel(corpus)
        future.exception(timeout=30)
    drop_vector_index(corpus.database, corpus.tables)
    assert state(corpus).state is IndexState.ABSENT


def test_the_old_index_serves_until_the_new_one_is_valid(corpus: Any) -> None:
    corpus.fill(2, 5)
    build(corpus, 16)
    with build_under_way(corpus, 8) as future:
        assert (state(corpus).state, state(corpus).m) == (IndexState.VALID, 16)
        cancel(corpus)
        future.exception(timeout=30)
    assert (state(corpus).state, state(corpus).m) == (IndexState.ABANDONED, 16), "what is left is told of"
    drop_vector_index(corpus.database, corpus.tables)
    assert (state(corpus).state, state(corpus).m) == (IndexState.VALID, 16), "and goes alone"
    build(corpus, 8)
    assert (state(corpus).state, state(corpus).m) == (IndexState.VALID, 8)
    assert len(names(corpus)) == 1


def test_searching_makes_no_table_of_its_own(corpus: Any) -> None:
    """The definition of the table, which all share, never learns of the index."""
    build(corpus)
    assert not set(index_names(corpus.tables)) & {index.name for index in corpus.tables.vector.indexes}


@pytest.mark.parametrize(
    ("dimensions", "element_type", "expected"),
    [(4000, "HalfVector", True), (4001, "HalfVector", False), (2000, "Vector", True), (2001, "Vector", False)],
)
def test_an_index_takes_so_many_dimensions(dimensions: int, element_type: str, expected: bool) -> None:
    assert can_be_indexed(revision_tables(1, dimensions, element_type)) is expected


@pytest.mark.parametrize("element_type", ["HalfVector", "Vector"])
def test_vectors_lie_in_their_rows(database: Database, element_type: str) -> None:
    """Kept beside the table, as PostgreSQL keeps long values, each costs more to fetch than to compare."""
    tables = revision_tables(7, 1024, element_type)
    with database.begin() as connection:
        tables.vector.create(connection)
        values = {"chunk_id": 1, "document_id": 1, "sealed": True, "embedding": [0.5] * 1024}
        connection.execute(sa.insert(tables.vector), values)
        beside = sa.text("SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 'vector_7'")
        assert connection.execute(beside).scalar_one() == 0


ROWS = 3000


def insert_rows(corpus: Any, first: int, number: int) -> None:
    """Rows of the vector table alone, with vectors of their own."""
    statement = sa.text(
        "INSERT INTO ragindex_data.vector_1 (chunk_id, document_id, sealed, embedding) SELECT n, n, true,"
        " (SELECT array_agg(sin(n * 7 + d * d)) FROM generate_series(1, :dimensions) d)::real[]::halfvec"
        " FROM generate_series(CAST(:first AS bigint), :last) n"
    )
    bound = {"dimensions": corpus.tables.dimensions, "first": first, "last": first + number - 1}
    with corpus.database.begin() as connection:
        connection.execute(statement, bound)


def delete_rows(corpus: Any, first: int, number: int) -> None:
    vector = corpus.tables.vector
    with corpus.database.begin() as connection:
        connection.execute(sa.delete(vector).where(vector.c.chunk_id.between(first, first + number - 1)))
    with corpus.database.autocommit() as connection:
        connection.execute(sa.text("VACUUM ragindex_data.vector_1"))


def bloat(corpus: Any) -> float:
    found = corpus.database.run(vector_index_bloat, corpus.tables)
    assert isinstance(found, float)
    return found


def test_bloat_grows_with_what_is_deleted_and_goes_with_a_new_build(corpus: Any) -> None:
    insert_rows(corpus, 1, ROWS)
    build(corpus)
    assert bloat(corpus) == pytest.approx(1.0, abs=0.01)
    delete_rows(corpus, 1, ROWS * 2 // 3)
    assert bloat(corpus) == pytest.approx(3.0, abs=0.2)
    build(corpus)
    assert bloat(corpus) > 2.0, "there is one with these parameters"
    build(corpus, again=True)
    assert bloat(corpus) == pytest.approx(1.0, abs=0.01)
    assert len(names(corpus)) == 1


def test_rows_that_are_added_are_no_bloat_and_fill_the_holes(corpus: Any) -> None:
    insert_rows(corpus, 1, ROWS)
    build(corpus)
    insert_rows(corpus, ROWS + 1, ROWS)
    corpus.analyse()
    assert bloat(corpus) == pytest.approx(1.0, abs=0.2)
    delete_rows(corpus, 1, ROWS)
    assert bloat(corpus) > 1.8
    insert_rows(corpus, 2 * ROWS + 1, ROWS)
    corpus.analyse()
    assert bloat(corpus) == pytest.approx(1.0, abs=0.2)


def test_of_no_index_or_a_small_one_nobody_tells_the_bloat(corpus: Any) -> None:
    assert corpus.database.run(vector_index_bloat, corpus.tables) is None
    corpus.fill(2, 5)
    build(corpus)
    assert corpus.database.run(vector_index_bloat, corpus.tables) is None


def test_the_live_index_serves_until_the_same_is_built_again(corpus: Any) -> None:
    corpus.fill(2, 5)
    build(corpus)
    before = names(corpus)
    with build_under_way(corpus, again=True) as future:
        assert state(corpus).state is IndexState.VALID
        assert names(corpus) > before
        with pytest.raises(NotReady, match="another index"):
            build(corpus, again=True)
    future.result(timeout=30)
    assert state(corpus).state is IndexState.VALID
    assert len(names(corpus)) == 1
    assert names(corpus) != before


def test_what_a_second_build_left_is_told_of_and_dropped(corpus: Any) -> None:
    corpus.fill(2, 5)
    build(corpus)
    before = names(corpus)
    with build_under_way(corpus, again=True) as future:
        cancel(corpus)
        future.exception(timeout=30)
    assert state(corpus).state is IndexState.ABANDONED
    drop_vector_index(corpus.database, corpus.tables)
    assert (state(corpus).state, names(corpus)) == (IndexState.VALID, before)
