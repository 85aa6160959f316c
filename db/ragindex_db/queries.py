"""The connections that queries run on: the driver's own, few, kept, and dropped as soon as something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.pq import TransactionStatus
from sqlalchemy.util import await_only, greenlet_spawn

from ragindex_core.errors import NotReady
from ragindex_db.compiled import Compiled, Reader, Statement, compiled

P = ParamSpec("P")
T = TypeVar("T")
Query: TypeAlias = Callable[Concatenate[Reader, P], T]


class Queries:
    """A bounded number of connections, opened when they are needed.

    Nobody asks a connection whether it still lives, which would cost every query a round trip. When one turns out to
    be dead, those that wait beside it are given up too: whoever comes next opens a new one.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[AsyncConnection[Any]]], size: int, wait_seconds: float = 10.0
    ) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(size)
        self._wait_seconds = wait_seconds
        self._idle: list[AsyncConnection[Any]] = []
        self._closed = False

    async def once(self, function: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function``, which runs one statement at most: that sees one state of the database by itself."""
        async with self._connection() as connection:
            return await greenlet_spawn(partial(function, _Reader(connection), *args, **kwargs))

    async def together(self, function: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function``, all of whose statements see the same state."""
        async with self._connection() as connection:
            await connection.set_autocommit(False)
            try:
                return await greenlet_spawn(partial(function, _Reader(connection), *args, **kwargs))
            finally:
                await connection.commit()
                await connection.set_autocommit(True)

    async def close(self) -> None:
        self._closed = True
        await self._give_up_idle()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        await self._slot()
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            except psycopg.OperationalError:
                if connection.broken:
                    await self._give_up_idle()
                raise
            finally:
                await self._put_back(connection)
        finally:
            self._slots.release()

    async def _slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise NotReady("all database connections are busy", retry_after_seconds=1) from error

    async def _put_back(self, connection: AsyncConnection[Any]) -> None:
        if not self._closed and connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()

    async def _give_up_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()


class _Reader:
    """Runs compiled statements, for a function within a greenlet."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: Statement, parameters: Mapping[str, Any] | None = None, /) -> _Rows:
        return _Rows(await_only(self._run(compiled(statement), parameters)))

    async def _run(self, statement: Compiled, values: Mapping[str, Any] | None) -> list[Any]:
        cursor = AsyncRawCursor(self._connection, row_factory=lambda _cursor: statement.row)
        await cursor.execute(statement.text, statement.parameters(values), prepare=statement.planned_once, binary=True)
        return await cursor.fetchall()


class _Rows:
    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        return self._rows

    def scalars(self) -> list[Any]:
        return [row[0] for row in self._rows]

    def one(self) -> Any:
        [row] = self._rows
        return row

    def one_or_none(self) -> Any:
        return self.one() if self._rows else None

    def scalar_one(self) -> Any:
        return self.one()[0]
