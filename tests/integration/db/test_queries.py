"""Queries of the service: what their connections withstand, and that what is compiled reads like what is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from ragindex_core.errors import NotFound, NotReady
from ragindex_db.compiled import Reader, planned_once, written
from ragindex_db.engine import AsyncDatabase, Database, DatabaseSettings, DatabaseUnavailable
from ragindex_db.queries import Queries

P = ParamSpec("P")

_BACKEND = sa.select(sa.func.pg_backend_pid())
_SLEEP = sa.select(sa.func.pg_sleep(sa.bindparam("seconds", type_=sa.Float(53))))


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(DatabaseSettings(url=url, application_name="queries", **settings))
    try:
        yield database
    finally:
        await database.close()


def backend(reader: Reader) -> int:
    return int(reader.execute(_BACKEND).scalar_one())


def sleep(reader: Reader, seconds: float) -> int:
    """Its result is the backend's number, asked for beforehand."""
    pid = backend(reader)
    reader.execute(_SLEEP, {"seconds": seconds})
    return pid


def end(url: str) -> int:
    """Ends the connections of queries as a restart of the server does. Says how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'queries'"
        )
        return len(ended.fetchall())


def busy(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'queries' AND query ~ 'pg_sleep'"
            " AND state = 'active'"
        ).fetchone()
        assert row is not None
        return int(row[0])


async def fetched(database: AsyncDatabase | Queries) -> int:
    """The backend that answers a single statement."""
    [row] = await database.fetch(_BACKEND)
    return int(row[0])


async def until_busy(url: str, count: int = 1) -> None:
    """The server has no event to wait for."""
    async with asyncio.timeout(20):
        while busy(url) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@in_loop
async def test_one_connection_serves_one_query_after_the_other(database_url: str) -> None:
    async with opened(database_url) as database:
        assert await fetched(database) == await database.query(backend) == await fetched(database)


@in_loop
async def test_when_all_connections_died_the_next_query_is_answered_all_the_same(database_url: str) -> None:
    async with opened(database_url, pool_size=3) as database:
        await asyncio.gather(*(database.query(sleep, 0.2) for _ in range(3)))
        assert end(database_url) >= 3
        answers = await asyncio.gather(*(fetched(database) for _ in range(3)))
        assert all(answers)


@in_loop
async def test_a_query_whose_connection_is_cut_twice_says_that_the_database_is_away(database_url: str) -> None:
    async with opened(database_url) as database:
        query = asyncio.create_task(database.query(sleep, 30))
        for _ in range(2):
            await until_busy(database_url)
            end(database_url)
        with pytest.raises(DatabaseUnavailable):
            await query
        assert await fetched(database)


@in_loop
async def test_a_cancelled_query_is_cancelled_in_the_server_and_its_connection_is_used_again(database_url: str) -> None:
    async with opened(database_url, pool_size=1) as database:
        pid = await fetched(database)
        for run in (database.query(sleep, 30), database.fetch(_SLEEP, {"seconds": 30.0})):
            query: asyncio.Task[Any] = asyncio.create_task(run)
            await until_busy(database_url)
            query.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await query
            assert busy(database_url) == 0
            assert await fetched(database) == pid


@in_loop
async def test_a_statement_that_runs_out_of_its_time_costs_nobody_the_connection(database_url: str) -> None:
    async with opened(database_url, pool_size=1, statement_timeout_ms=100) as database:
        pid = await fetched(database)
        with pytest.raises(NotReady, match="out of its time"):
            await database.query(sleep, 30)
        assert await database.query(backend) == pid


@in_loop
async def test_who_waits_too_long_for_a_connection_is_told_to_come_back(database_url: str) -> None:
    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(database_url, autocommit=True, application_name="queries")

    queries = Queries(connect, 1, wait_seconds=0.05)
    first = asyncio.create_task(queries.fetch(_SLEEP, {"seconds": 30.0}))
    await until_busy(database_url)
    with pytest.raises(NotReady, match="busy"):
        await fetched(queries)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert await fetched(queries)
    await queries.close()


@in_loop
async def test_there_are_never_more_connections_than_allowed(database_url: str) -> None:
    async with opened(database_url, pool_size=2) as database:
        assert len(set(await asyncio.gather(*(database.query(sleep, 0.05) for _ in range(8))))) <= 2


@in_loop
async def test_statements_of_one_query_see_one_state_and_write_nothing(database_url: str, database: Database) -> None:
    numbers = sa.table("numbers", sa.column("n", sa.Integer))
    count = sa.select(sa.func.count()).select_from(numbers)
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE numbers (n integer)"))

    def look_twice(reader: Reader) -> tuple[int, int]:
        before = reader.execute(count).scalar_one()
        with database.begin() as connection:
            connection.execute(sa.insert(numbers).values(n=1))
        return before, reader.execute(count).scalar_one()

    async with opened(database_url) as database_of_queries:
        assert await database_of_queries.query(look_twice) == (0, 0)
        assert (await database_of_queries.query(look_twice))[0] == 1
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            await database_of_queries.query(
                lambda reader: reader.execute(sa.select(sa.func.nextval("ragindex.change_numbers")))
            )


@in_loop
async def test_what_a_query_raises_itself_reaches_its_caller(database_url: str) -> None:
    def nothing(_reader: Reader) -> None:
        raise NotFound("there is nothing")

    async with opened(database_url, pool_size=1) as database:
        pid = await database.query(backend)
        with pytest.raises(NotFound):
            await database.query(nothing)
        assert await database.query(backend) == pid


@in_loop
async def test_a_compiled_statement_brings_what_it_brings_elsewhere(database_url: str, database: Database) -> None:
    names = sa.bindparam("names", type_=ARRAY(sa.Text))
    statement = planned_once(
        sa.select(
            sa.func.unnest(names).label("name"),
            sa.literal(5).label("five"),
            sa.cast(sa.literal("1.5"), sa.Numeric).label("exact"),
            sa.cast(sa.literal("1.5"), sa.Float(53)).label("double"),
            sa.cast(sa.literal('{"big": 100000000000000000000, "list": [1, null]}'), JSONB).label("json"),
            sa.literal("a%b").like("a%%").label("percent"),
        )
        .order_by("name")
        .limit(written(2))
    )
    values = {"names": ["c", "a", "b"]}
    with database.begin() as connection:
        elsewhere = [tuple(row) for row in connection.execute(statement, values)]

    async with opened(database_url) as database_of_queries:
        for _ in range(8):  # more often than the server plans it anew
            rows = await database_of_queries.fetch(statement, values)
            assert [tuple(row) for row in rows] == elsewhere
        assert rows[0].name == "a"
        assert rows[0]._mapping["json"] == {"big": 1e20, "list": [1, None]}


@in_loop
async def test_the_size_of_a_number_makes_no_other_statement(database_url: str) -> None:
    statement = planned_once(sa.select(sa.bindparam("number", type_=sa.BigInteger)))
    prepared = sa.select(sa.func.count()).select_from(sa.table("pg_prepared_statements"))
    async with opened(database_url, pool_size=1) as database:
        for number in (1, 70_000, 2**40):
            [answer] = await database.fetch(statement, {"number": number})
            assert answer.number == number
        [count] = await database.fetch(prepared)
        assert count[0] == 1
