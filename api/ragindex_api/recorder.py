"""Writes down what was asked and used, in batches and behind the answers: no query waits for its own record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ragindex_api.metrics import Metrics
from ragindex_core.errors import NotReady, Unavailable
from ragindex_db import ledger
from ragindex_db.engine import AsyncDatabase
from ragindex_db.ledger import QueryRun, Usage

log = logging.getLogger(__name__)

_MOST_HELD = 10_000
_BATCH = 500
_GATHER_SECONDS = 0.5
_ATTEMPTS = 5

Row = QueryRun | Usage


class Recorder:
    """Holds a bounded number of rows; when the database is away for long, the newest are lost and counted."""

    def __init__(self, database: AsyncDatabase, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._rows: asyncio.Queue[Row] = asyncio.Queue(_MOST_HELD)
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def record(self, *rows: Row) -> None:
        for row in rows:
            try:
                self._rows.put_nowait(row)
                self._arrived.set()
            except asyncio.QueueFull:
                self._metrics.runs_lost.inc()

    def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="recorder")

    async def stop(self) -> None:
        """What is still held is written before the process ends."""
        self._stopping.set()
        self._arrived.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def flush(self) -> None:
        """Until all that was recorded before is written."""
        await self._rows.join()

    async def _work(self) -> None:
        while True:
            await self._something_or_stop()
            if not self._stopping.is_set():
                await _wait(self._stopping, _GATHER_SECONDS)
            batch = [self._rows.get_nowait() for _ in range(min(_BATCH, self._rows.qsize()))]
            if not batch:
                return
            await self._write(batch)
            for _ in batch:
                self._rows.task_done()

    async def _something_or_stop(self) -> None:
        while self._rows.empty() and not self._stopping.is_set():
            self._arrived.clear()
            await self._arrived.wait()

    async def _write(self, rows: Sequence[Row]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                await self._insert(rows)
            except (Unavailable, NotReady):
                if self._stopping.is_set():
                    break
                await _wait(self._stopping, 2.0**attempt)
            except Exception:
                # An index that was removed meanwhile takes the others' rows down with it: one by one, then.
                if len(rows) == 1:
                    log.exception("query run not recorded")
                    break
                for row in rows:
                    await self._write([row])
                return
            else:
                return
        self._metrics.runs_lost.inc(len(rows))

    async def _insert(self, rows: Sequence[Row]) -> None:
        runs = [row for row in rows if isinstance(row, QueryRun)]
        used = [row for row in rows if isinstance(row, Usage)]
        if runs:
            await self._database.run(ledger.record_queries, runs)
        if used:
            await self._database.run(ledger.record_usage, used)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
