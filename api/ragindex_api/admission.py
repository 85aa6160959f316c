"""So many at once, so many waiting, and not too long: beyond that a caller is told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragindex_api.metrics import Metrics
from ragindex_api.problems import Kind, ProblemError
from ragindex_api.settings import Limit


class Admission:
    """The door before one kind of work."""

    def __init__(self, kind: str, limit: Limit, metrics: Metrics) -> None:
        self._kind = kind
        self._limit = limit
        self._slots = asyncio.Semaphore(limit.at_once)
        self._waiting = 0
        self._gauge = metrics.waiting.labels(kind)
        self._refused = metrics.refused.labels(kind)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        if self._slots.locked():
            await self._wait()
        else:
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def _wait(self) -> None:
        if self._waiting >= self._limit.waiting:
            raise self._refusal()
        self._waiting += 1
        self._gauge.inc()
        try:
            async with asyncio.timeout(self._limit.wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._waiting -= 1
            self._gauge.dec()

    def _refusal(self) -> ProblemError:
        self._refused.inc()
        return ProblemError(
            Kind.BUSY,
            f"{self._limit.at_once} {self._kind} are under way and {self._waiting} wait",
            retry_after_seconds=1,
        )
