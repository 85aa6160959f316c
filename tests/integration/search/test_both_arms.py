"""The two arms of a hybrid search run at once where a second connection is free, and always on one state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from ragindex_core.analysis import KeywordQuery
from ragindex_core.object.spec import RetrievalMode
from ragindex_db.beside import both
from ragindex_db.compiled import Reader
from ragindex_db.engine import AsyncDatabase, DatabaseSettings
from ragindex_db.queries import Queries
from ragindex_db.search import search

_SESSION = sa.select(sa.func.pg_backend_pid())


def _session(reader: Reader) -> int:
    number: int = reader.execute(_SESSION).scalar_one()
    return number


def _run_both(reader: Reader, first: Callable[[Reader], int], second: Callable[[Reader], int]) -> tuple[int, int]:
    return both(reader, first, second)


def _sessions(reader: Reader) -> tuple[int, int]:
    return both(reader, _session, _session)


def _ask(url: str, size: int, function: Any, *arguments: Any) -> Any:
    async def ask() -> Any:
        database = AsyncDatabase(DatabaseSettings(url=url, pool_size=size))
        try:
            return await database.query(function, *arguments)
        finally:
            await database.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(("connections", "at_once"), [(2, True), (1, False)])
def test_a_second_connection_is_used_where_one_is_free(database_url: str, connections: int, at_once: bool) -> None:
    first, second = _ask(database_url, connections, _sessions)
    assert (first != second) == at_once


def test_what_is_committed_meanwhile_is_seen_by_neither(corpus: Any, database_url: str) -> None:
    count = sa.select(sa.func.count()).select_from(corpus.tables.chunk)

    def chunks(reader: Reader) -> int:
        found: int = reader.execute(count).scalar_one()
        return found

    def write_and_count(reader: Reader) -> int:
        with corpus.database.begin() as connection:
            corpus.add_chunks(connection, corpus.add_document(connection), [None])
        return chunks(reader)

    assert _ask(database_url, 2, lambda reader: both(reader, write_and_count, chunks)) == (0, 0)
    assert _ask(database_url, 2, chunks) == 1


def test_a_second_connection_to_another_server_is_not_believed(database_url: str, server_url: str) -> None:
    addresses = iter([database_url, f"{server_url}/postgres"])

    async def connect() -> psycopg.AsyncConnection[Any]:
        connection = await psycopg.AsyncConnection.connect(next(addresses), autocommit=True)
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        return connection

    async def ask() -> tuple[int, int]:
        queries = Queries(connect, 2)
        try:
            return await queries.together(_sessions)
        finally:
            await queries.close()

    first, second = asyncio.run(ask())
    assert first == second


def test_a_connection_that_cannot_be_opened_is_done_without(database_url: str) -> None:
    addresses = iter([database_url, "postgresql://nobody@127.0.0.1:1/nowhere"])

    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(next(addresses), autocommit=True)

    async def ask() -> tuple[int, int]:
        queries = Queries(connect, 2)
        try:
            return await queries.together(_sessions)
        finally:
            await queries.close()

    first, second = asyncio.run(ask())
    assert first == second


def test_what_fails_in_one_arm_fails_the_search_and_leaves_the_connections_usable(database_url: str) -> None:
    wrong = sa.select(sa.literal(1) / sa.literal(0))

    def fails(reader: Reader) -> int:
        reader.execute(wrong)
        raise AssertionError

    async def ask() -> tuple[int, int]:
        database = AsyncDatabase(DatabaseSettings(url=database_url, pool_size=2))
        try:
            for arms in ((fails, _session), (_session, fails), (fails, fails)):
                with pytest.raises(psycopg.errors.DivisionByZero):
                    await database.query(_run_both, *arms)
            return await database.query(_sessions)
        finally:
            await database.close()

    first, second = asyncio.run(ask())
    assert first != second


def test_a_hybrid_search_finds_the_same_at_once_and_one_after_the_other(
    corpus: Any, query: NDArray[np.float32], database_url: str
) -> None:
    random = np.random.default_rng(3)
    words = ["cat", "dog", "newt", "e-4012", "owl"]
    with corpus.database.begin() as connection:
        for number in range(40):
            texts = [" ".join(random.choice(words, 6)) for _ in range(8)]
            if number == 7:
                texts[0] += " e-4013"
            vectors = list(random.normal(size=(8, len(query))).astype(np.float32))
            corpus.add_chunks(connection, corpus.add_document(connection), vectors, texts=texts)
    asked = KeywordQuery(words=(("cat",), ("owl",), ("e-4013",)), identifiers=("e-4013",))
    request = corpus.request(mode=RetrievalMode.HYBRID, vector=query, keyword=asked, has_index=False)
    with corpus.database.begin() as connection:
        alone = search(connection, request)
    at_once = _ask(database_url, 2, search, request)
    assert [(hit.chunk.chunk_id, hit.score, hit.scores) for hit in at_once.hits] == [
        (hit.chunk.chunk_id, hit.score, hit.scores) for hit in alone.hits
    ]
    assert alone.hits[0].chunk.text.endswith("e-4013")
    assert len(alone.hits) == request.top_k
