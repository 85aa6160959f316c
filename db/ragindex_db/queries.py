"""The connections that queries run on: the driver's own, few, kept, and dropped as soon as something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import AsyncConnection, AsyncRawCursor, sql
from psycopg.pq import TransactionStatus
from sqlalchemy.util import await_only, greenlet_spawn

from ragindex_core.errors import NotReady
from ragindex_db.compiled import Reader, Statement, compiled, planned_once

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Query: TypeAlias = Callable[Concatenate[Reader, P], T]

_EXPORT = planned_once(sa.select(sa.func.pg_export_snapshot()))
_ADOPT = sql.SQL("SET TRANSACTION SNAPSHOT {}")


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

    async def fetch(self, statement: Statement, values: Mapping[str, Any] | None = None) -> list[Any]:
        """The rows of one statement, which sees one state of the database by itself."""
        async with self._connection() as connection:
            return await _fetch(connection, statement, values)

    async def together(self, function: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function``, all of whose statements see the same state."""
        async with self._connection() as connection:
            await connection.set_autocommit(False)
            try:
                return await greenlet_spawn(partial(function, _Reader(connection, self), *args, **kwargs))
            finally:
                await _end(connection)

    @property
    def has_room(self) -> bool:
        """Whether a connection is free."""
        return not self._slots.locked()

    async def seeing(self, snapshot: str, function: Callable[[Reader], T]) -> T:
        """``function`` on the state that another transaction sees. Raises Elsewhere when that cannot be had."""
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self._connection())
                await connection.set_autocommit(False)
                stack.push_async_callback(_end, connection)
                async with connection.pipeline():
                    await connection.execute(_ADOPT.format(sql.Literal(snapshot)))
            except (psycopg.Error, NotReady) as error:
                raise Elsewhere from error
            return await greenlet_spawn(function, _Reader(connection))

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


async def _fetch(connection: AsyncConnection[Any], statement: Statement, values: Mapping[str, Any] | None) -> list[Any]:
    made = compiled(statement)
    cursor = AsyncRawCursor(connection, row_factory=lambda _cursor: made.row)
    await cursor.execute(made.text, made.parameters(values), prepare=made.planned_once, binary=True)
    return await cursor.fetchall()


class Elsewhere(Exception):
    """No second connection could be had that sees what the first one does: none at all, or one to another server."""


async def _end(connection: AsyncConnection[Any]) -> None:
    await connection.commit()
    await connection.set_autocommit(True)


class _Reader:
    """Runs compiled statements, for a function within a greenlet."""

    def __init__(self, connection: AsyncConnection[Any], queries: Queries | None = None) -> None:
        self._connection = connection
        self._queries = queries  # where another connection may be had

    def both(self, first: Callable[[Reader], A], second: Callable[[Reader], B]) -> tuple[A, B]:
        if self._queries is None or not self._queries.has_room:
            return first(self), second(self)
        snapshot = self._exported()
        if snapshot is None:
            return first(self), second(self)
        other = asyncio.ensure_future(self._queries.seeing(snapshot, second))
        try:
            one = first(self)
        except BaseException:
            other.cancel()
            await_only(asyncio.gather(other, return_exceptions=True))
            raise
        try:
            return one, await_only(other)
        except Elsewhere:
            return one, second(self)

    def _exported(self) -> str | None:
        """What others can see the same by. It is a file: on a full disk there is none, and the transaction begins anew.
        Of several searches in one request the later ones then see a later state."""
        try:
            exported: str = self.execute(_EXPORT).scalar_one()
        except (psycopg.errors.DiskFull, psycopg.errors.IoError):
            await_only(self._connection.rollback())
            return None
        return exported

    def execute(self, statement: Statement, parameters: Mapping[str, Any] | None = None, /) -> _Rows:
        return _Rows(await_only(_fetch(self._connection, statement, parameters)))


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
