"""Measures one subject in a process of its own, and writes what it found as JSON to standard output.

    python -m benchmarks.peers.subject NAME load|ask FOLDER PLACE SERVER

``load`` fills and indexes, ``ask`` opens what is there and searches, as two processes: what a load leaves in memory is
then no part of what asking needs. ``PLACE`` is a database's URL or a folder; ``SERVER``
the process that works for it beside this one, or 0. Runs in the subjects' own environment.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Protocol

from benchmarks.machine import cpu_seconds, peak_rss_mib
from benchmarks.peers.given import Given, recall

#: Efforts (ef_search and its like) tried in turn, until recall is reached.
EFFORTS = (20, 30, 40, 60, 80, 120, 160, 240, 320, 480)
RECALL = 0.95
_SECONDS, _SECONDS_QUICK = 4.0, 1.5
_QUICK = 20_000  # rows, and fewer


class Subject(Protocol):
    """Something that keeps vectors with their texts and finds the nearest. ``search`` brings text and metadata too,
    as an application needs them, and answers with the numbers of what it found.

    ``sample``: so many rows are written by the subject's own means, which tells its rate; the rest, which would take it
    many minutes, by ``load_rest``. None: all of them are.
    """

    sample: int | None

    def load(self, given: Given, start: int, stop: int) -> None: ...
    def load_rest(self, given: Given, start: int, stop: int) -> None: ...
    def build(self) -> None: ...
    def disk_bytes(self) -> tuple[int, int]:
        """All of it, and the vector index of it."""

    def ask_with(self, effort: int) -> None: ...
    def search(self, vector: Any, k: int, *, selected: bool) -> list[int]: ...


def timed(do: Callable[[], object]) -> float:
    started = perf_counter()
    do()
    return perf_counter() - started


def load(subject: Subject, given: Given, server: int) -> dict[str, Any]:
    first = min(subject.sample or given.count, given.count)
    cpu_before = cpu(server)
    seconds = timed(lambda: subject.load(given, 0, first))
    load_cpu_seconds = cpu(server) - cpu_before
    if first < given.count:
        subject.load_rest(given, first, given.count)
    cpu_before = cpu(server)
    build_seconds = timed(subject.build)
    build_cpu_seconds = cpu(server) - cpu_before
    everything, index = subject.disk_bytes()
    return {
        "rows_a_second": first / seconds,
        "load_cpu_ms": load_cpu_seconds * 1000 / first,
        "build_seconds": build_seconds,
        "build_cpu_seconds": build_cpu_seconds,
        "bytes": everything,
        "index_bytes": index,
    }


def ask(subject: Subject, given: Given, server: int) -> dict[str, Any]:
    queries, k = list(given.queries), given.truth.shape[1]
    seconds = _SECONDS_QUICK if given.count <= _QUICK else _SECONDS
    effort, reached = 0, 0.0
    for effort in EFFORTS:
        subject.ask_with(effort)
        reached = recall([subject.search(query, k, selected=False) for query in queries], given.truth)
        if reached >= RECALL:
            break
    one = rate(subject, queries, k, server, seconds, clients=1)
    eight = rate(subject, queries, k, server, seconds, clients=8)
    few = queries[:100]
    latencies, found = [], []
    for query in few:
        started = perf_counter()
        found.append(subject.search(query, k, selected=True))
        latencies.append(perf_counter() - started)
    return {
        "effort": effort,
        "recall": reached,
        "one": one,
        "eight": eight,
        "selected": {
            "recall": recall(found, given.truth_selected[: len(few)]),
            "rows": sum(map(len, found)) / len(found),
            "p50_ms": percentile(latencies, 50) * 1000,
        },
    }


def rate(
    subject: Subject, queries: Sequence[Any], k: int, server: int, seconds: float, *, clients: int
) -> dict[str, float]:
    """Threads that ask one question after the other; the processor time is theirs and the server's."""
    latencies: list[float] = []
    until = perf_counter() + seconds

    def client(number: int) -> None:
        own, at = [], number * 37
        while (started := perf_counter()) < until:
            subject.search(queries[at % len(queries)], k, selected=False)
            own.append(perf_counter() - started)
            at += 1
        latencies.extend(own)

    cpu_before, started = cpu(server), perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = perf_counter() - started
    spent = cpu(server) - cpu_before
    return {
        "queries_a_second": len(latencies) / took,
        "cpu_ms": spent * 1000 / len(latencies),
        "p50_ms": percentile(latencies, 50) * 1000,
        "p99_ms": percentile(latencies, 99) * 1000,
    }


def cpu(server: int) -> float:
    return process_time() + (cpu_seconds(server) if server else 0.0)


def percentile(values: Sequence[float], share: int) -> float:
    return sorted(values)[min(len(values) * share // 100, len(values) - 1)]


def main() -> None:
    name, phase, folder, place, server = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.peers.subjects.{name}")
    given = Given(Path(folder))
    subject: Subject = module.opened(place, given)
    found = load(subject, given, int(server)) if phase == "load" else ask(subject, given, int(server))
    found["rss_mib"] = peak_rss_mib(os.getpid())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
