"""Going down without cutting anyone off: no new work, a bounded time for what is under way, then a word of goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Drain:
    """``begin`` is called on SIGTERM. Streams watch ``ending``, which comes when their time is up."""

    def __init__(self) -> None:
        self.begun = False
        self.ending = asyncio.Event()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        self.begun = True

    @contextmanager
    def under_way(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def finish(self, seconds: float, goodbye_seconds: float = 2.0) -> bool:
        """True when everything under way came to its end by itself."""
        self.begin()
        if await _within(seconds, self._idle):
            return True
        self.ending.set()
        await _within(goodbye_seconds, self._idle)
        return False


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
