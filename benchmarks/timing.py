"""How long things take, one after another."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import event

from ragindex_core.evaluation import percentile
from ragindex_db.engine import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds."""

    all: Sequence[float]

    @property
    def p50(self) -> float:
        return statistics.median(self.all)

    @property
    def p95(self) -> float:
        return percentile(self.all, 95)

    @property
    def p99(self) -> float:
        return percentile(self.all, 99)

    def as_json(self) -> dict[str, float]:
        return {"p50_ms": round(self.p50, 3), "p95_ms": round(self.p95, 3), "p99_ms": round(self.p99, 3)}


def each(function: Callable[[T], object], items: Iterable[T]) -> Times:
    """One call an item."""
    found = []
    for item in items:
        started = perf_counter()
        function(item)
        found.append((perf_counter() - started) * 1000)
    return Times(found)


@dataclass(slots=True)
class SqlClock:
    """Milliseconds that the driver spent on statements: sending, waiting, receiving."""

    milliseconds: float = 0.0
    _started: float = field(default=0.0)

    def taken(self) -> float:
        """Since it was asked last."""
        spent, self.milliseconds = self.milliseconds, 0.0
        return spent


@contextmanager
def sql_clock(database: Database) -> Iterator[SqlClock]:
    """For one thread."""
    clock = SqlClock()

    def before(*_: Any) -> None:
        clock._started = perf_counter()

    def after(*_: Any) -> None:
        clock.milliseconds += (perf_counter() - clock._started) * 1000

    event.listen(database.engine, "before_cursor_execute", before)
    event.listen(database.engine, "after_cursor_execute", after)
    try:
        yield clock
    finally:
        event.remove(database.engine, "before_cursor_execute", before)
        event.remove(database.engine, "after_cursor_execute", after)
