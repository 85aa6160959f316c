"""Connections: how they are made, kept healthy and handed out, for threads and for the event loop alike.

Every other function of this package is synchronous and takes a ``Connection``. Workers call them inside
``database.begin()``; the service runs the very same functions on asyncio connections: ``await database.run(f, …)``.
Those that only read and are called for every query take a ``Reader`` instead, for ``await database.query(f, …)``: see
``ragindex_db.compiled``.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
import psycopg
import sqlalchemy as sa
from pgvector.psycopg import register_vector, register_vector_async
from psycopg.types.json import set_json_loads
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ragindex_core.errors import Conflict, Misconfigured, NotReady, RagIndexError, Unavailable
from ragindex_db.compiled import Reader, Statement
from ragindex_db.queries import Queries

__all__ = [
    "AsyncDatabase",
    "Connection",
    "Database",
    "DatabaseFull",
    "DatabaseSettings",
    "DatabaseUnavailable",
    "translated",
]

P = ParamSpec("P")
T = TypeVar("T")

#: Per session: nothing here pays for JIT, the keyword arm adds up its vectors in memory, and a role that happens to be
#: called ragindex must not make its schema the default one.
_SESSION = (
    "-c jit=off -c idle_in_transaction_session_timeout=60s -c timezone=UTC -c search_path=public -c work_mem=64MB"
)
#: What nearly every vector search wants of pgvector; the few others say in their statement what they want.
EF_SEARCH = 100
#: A filtered index scan goes on until it has enough, up to so many rows, and keeps so much of them to go on from.
_HNSW = (
    f" -c hnsw.ef_search={EF_SEARCH:d} -c hnsw.iterative_scan=relaxed_order -c hnsw.max_scan_tuples=100000"
    " -c hnsw.scan_mem_multiplier=4"
)
#: Statements whose best plan depends on their values are planned for them, each time; where SQLAlchemy runs them,
#: nobody can tell which those are.
_PLANNED = " -c plan_cache_mode=force_custom_plan"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    url: str = field(repr=False)
    pool_size: int = 4
    application_name: str = "ragindex"
    statement_timeout_ms: int = 0  # 0: no limit
    connect_timeout_seconds: int = 10


#: More digits than a 64-bit integer surely holds.
_LONG_INTEGER = 19
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def _integer(digits: str) -> float:
    """JSONB writes 1e20 out as an integer, which nobody can pass on as JSON: such a number is a float again."""
    return int(digits) if len(digits) < _LONG_INTEGER else float(digits)


_with_long_numbers = json.JSONDecoder(parse_int=_integer).decode


def _loads(value: str | bytes) -> Any:
    data = value.encode() if isinstance(value, str) else value
    return _with_long_numbers(data.decode()) if _LONG_NUMBER.search(data) else orjson.loads(data)


def _engine_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    return {
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        "pool_timeout": 10,
        "pool_pre_ping": True,
        "json_deserializer": _loads,
        "connect_args": _connect_arguments(settings, f"{_SESSION}{_PLANNED}"),
    }


def _connect_arguments(settings: DatabaseSettings, session: str) -> dict[str, Any]:
    return {
        "application_name": settings.application_name,
        "connect_timeout": settings.connect_timeout_seconds,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": f"{session}{_HNSW} -c statement_timeout={settings.statement_timeout_ms:d}",
    }


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise Misconfigured("the database URL is not of the form postgresql://user:password@host:port/name") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise Misconfigured(f"the database URL must begin with postgresql://, not {parsed.drivername}://")
    return parsed.set(drivername="postgresql+psycopg")


class Database:
    """A pool of connections for threads: worker, operator, command line."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.engine = sa.create_engine(_parsed(settings.url), **_engine_arguments(settings))
        event.listen(self.engine, "connect", _register_types)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back by any exception."""
        with translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """For what cannot run in a transaction: index builds beside traffic."""
        with (
            translated(),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            yield connection

    def run(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function`` in a transaction of its own."""
        with self.begin() as connection:
            return function(connection, *args, **kwargs)

    def close(self) -> None:
        self.engine.dispose()


class AsyncDatabase:
    """The same for the event loop: a cancelled task cancels its statement.

    Queries have connections of their own, without SQLAlchemy. Those are not asked whether they still live before each
    use, which would cost every query a round trip; a query that meets a dead one is tried once more on a fresh one.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        few = {**_engine_arguments(settings), "pool_size": max(settings.pool_size // 4, 2)}
        self.engine: AsyncEngine = create_async_engine(_parsed(settings.url), **few)
        event.listen(self.engine.sync_engine, "connect", _register_types_async)
        self._queries = Queries(partial(_connect, settings), settings.pool_size)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self.engine.begin() as connection:
                yield connection

    async def run(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.begin() as connection:
            return await connection.run_sync(function, *args, **kwargs)

    async def query(self, function: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function``, which only reads, on one state of the database."""
        return await _twice(partial(self._queries.together, function, *args, **kwargs))

    async def fetch(self, statement: Statement, values: Mapping[str, Any] | None = None) -> list[Any]:
        """The rows of one statement, which needs no transaction to see one state."""
        return await _twice(partial(self._queries.fetch, statement, values))

    async def close(self) -> None:
        await self.engine.dispose()
        await self._queries.close()


async def _twice(query: Callable[[], Awaitable[T]]) -> T:
    try:
        with translated():
            return await query()
    except Unavailable:
        with translated():
            return await query()


async def _connect(settings: DatabaseSettings) -> psycopg.AsyncConnection[Any]:
    url = _parsed(settings.url)
    _, address = url.get_dialect()().create_connect_args(url)
    arguments = {**address, **_connect_arguments(settings, _SESSION)}
    connection = await psycopg.AsyncConnection.connect(**arguments, autocommit=True)
    try:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        await _register(connection)
        set_json_loads(_loads, connection)
        # Else the type of a parameter, and so the statement, would change with the size of the number: in lists, which
        # go as text, that of the first list would hold for all.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(int, Int8BinaryDumper)
    except BaseException:
        await connection.close()
        raise
    return connection


def _register_types(dbapi_connection: psycopg.Connection[Any], _record: object) -> None:
    with dbapi_connection.cursor() as cursor:
        exists = cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
    if exists:
        register_vector(dbapi_connection)
    dbapi_connection.rollback()


def _register_types_async(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.run_async(_register)


async def _register(connection: psycopg.AsyncConnection[Any]) -> None:
    try:
        await register_vector_async(connection)
    except psycopg.ProgrammingError as error:
        # A connection that does not know the types would be of no use later either.
        raise NotReady("the database has no extension vector yet: it is not migrated", 5) from error


class DatabaseUnavailable(Unavailable):
    """The message has the driver's words, and so maybe an address: for logs, and for whoever runs the database.

    ``refused``: the server said why. Otherwise the connection was lost, maybe because of what it was asked to do.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None, *, refused: bool = False) -> None:
        super().__init__(message, retry_after_seconds)
        self.refused = refused


class DatabaseFull(DatabaseUnavailable):
    """There is no room for what should be written. What needs none, as most reading, goes on."""


DISK_FULL = "53100"
#: The connection is of no more use, or the server is not in a state to write: give up the transaction and try anew.
_TRANSIENT = ("08", "25006", "57P", "40001", "40P01", "53")


@contextmanager
def translated() -> Iterator[None]:
    """The errors of the driver as ours, whether SQLAlchemy wrapped them or not; what we cannot name passes through
    unchanged."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise NotReady("all database connections are busy", retry_after_seconds=1) from error
    except DBAPIError as error:
        if (ours := _ours(error.orig, lost=error.connection_invalidated)) is not None:
            raise ours from error
        raise
    except psycopg.Error as error:
        if (ours := _ours(error)) is not None:
            raise ours from error
        raise


def _ours(error: BaseException | None, *, lost: bool = False) -> RagIndexError | None:
    state = getattr(error, "sqlstate", None)
    words = (str(error).strip().splitlines() or ["connection lost"])[0]
    if state == "57014":
        return NotReady("the statement ran out of its time", retry_after_seconds=1)
    if state == "23505":
        return Conflict("the same was written at the same moment by someone else")
    if state == DISK_FULL:
        return DatabaseFull(f"the disk of the database is full: {words}", retry_after_seconds=5, refused=True)
    if state is not None and state.startswith(_TRANSIENT):
        return DatabaseUnavailable(f"the database refuses for now: {words}", retry_after_seconds=1, refused=True)
    if (
        lost
        or isinstance(error, psycopg.InterfaceError)
        or (state is None and isinstance(error, psycopg.OperationalError))
    ):
        return DatabaseUnavailable(f"the database does not answer: {words}", retry_after_seconds=1)
    return None
