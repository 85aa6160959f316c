"""Server-sent events: written as they come, kept alive by comments, and stopped the moment the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ragindex_api.drain import Drain
from ragindex_api.encoding import encode
from ragindex_api.problems import Kind, Problem, told

T = TypeVar("T")
_COMMENT = b":\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        return b"event: " + self.name.encode() + b"\ndata: " + encode(self.data) + b"\n\n"


class EventStream(Response):
    """``events`` is closed in every case, and ``held`` after it: at its end, on an error, when the client leaves, when
    its time is up, when the process goes."""

    media_type = "text/event-stream"

    def __init__(
        self,
        request: Request,
        events: AsyncGenerator[Event, None],
        held: AsyncExitStack,
        *,
        drain: Drain,
        heartbeat_seconds: float,
        most_seconds: float,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._request = request
        self._events = events
        self._held = held
        self._drain = drain
        self._heartbeat_seconds = heartbeat_seconds
        self._most_seconds = most_seconds

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            pump = asyncio.create_task(self._pump(send))
            left = asyncio.create_task(_until_left(receive))
            beat = asyncio.create_task(self._beat(send))
            ending = asyncio.create_task(self._drain.ending.wait())
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await asyncio.wait(
                    (pump, left, beat, ending), timeout=self._most_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                await _cancelled(beat)  # the last event is the last thing sent
                if not pump.done():
                    await _cancelled(pump)
                    if not left.done():
                        kind = Kind.DRAINING if self._drain.ending.is_set() else Kind.TIMED_OUT
                        await self._last(send, Problem(kind, kind.title))
            finally:
                for task in (pump, left, beat, ending):
                    await _cancelled(task)
                await self._events.aclose()

    async def _pump(self, send: Send) -> None:
        try:
            async for event in self._events:
                await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        except Exception as error:  # noqa: BLE001  it is told, and logged
            await self._last(send, told(error, self._request.state.request_id))
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            await send({"type": "http.response.body", "body": _COMMENT, "more_body": True})

    async def _last(self, send: Send, problem: Problem) -> None:
        body = problem.body(self._request.scope["path"], self._request.state.request_id)
        with suppress(OSError):
            await send({"type": "http.response.body", "body": Event("error", body).encode(), "more_body": False})


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Its end, whatever it is; a task that ended before has been looked at."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


async def unless_client_leaves(request: Request, work: asyncio.Task[T]) -> T:
    """The result of ``work``, which is cancelled when nobody is left to read it."""
    left = asyncio.create_task(_until_left(request.receive))
    try:
        await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await _cancelled(work)
            raise ClientLeft
        return work.result()
    finally:
        await _cancelled(left)
        if not work.done():
            await _cancelled(work)


class ClientLeft(Exception):
    """Nobody is there to answer to."""
