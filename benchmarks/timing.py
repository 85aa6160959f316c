"""How long things take, one after another."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import TypeVar

from benchmarks.machine import cpu_seconds
from ragindex_core.evaluation import percentile

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


def costed(server_pid: int, function: Callable[[T], object], items: Sequence[T]) -> tuple[Times, float]:
    """The same, and the processor milliseconds that a call took of this process and of the server together."""
    before = cpu_seconds(server_pid) + process_time()
    times = each(function, items)
    return times, (cpu_seconds(server_pid) + process_time() - before) * 1000 / max(len(items), 1)
