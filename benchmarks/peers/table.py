"""Prints the table of docs/benchmarks/peers.md out of the results of the last run: python -m benchmarks.peers.table"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import results
from benchmarks.results import number
from benchmarks.run import PUBLISHED

_HEAD = (
    "",
    "queries/s, 1 client",
    "8 clients",
    "p50 / p99 ms, 8 clients",
    "CPU ms a query",
    "recall@10 (effort)",
    "behind 1 %: rows, recall, p50 ms",
    "load rows/s",
    "index build s",
    "disk MiB (index)",
    "client RSS MiB",
)


def lines(systems: Mapping[str, Any]) -> Iterator[str]:
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for each in systems.values():
        yield f"| {' | '.join(_cells(each))} |"


def _cells(each: Mapping[str, Any]) -> Iterator[str]:
    ask, loaded = each["ask"], each.get("load")
    eight = ask["eight"]
    yield each["title"]
    yield number(ask["one"]["queries_a_second"])
    yield number(eight["queries_a_second"])
    yield f"{eight['p50_ms']:.1f} / {eight['p99_ms']:.1f}"
    yield f"{eight['cpu_ms']:.2f}"
    yield f"{ask['recall']:.3f} ({ask['effort']})" if loaded else f"the same ({ask['effort']})"
    if loaded is None:
        yield from ("", "", "", "")
    else:
        selected = ask["selected"]
        yield f"{selected['rows']:.1f} of 10, {selected['recall']:.2f}, {selected['p50_ms']:.1f}"
        yield number(loaded["rows_a_second"])
        yield f"{loaded['build_seconds']:.0f}" if loaded["build_seconds"] >= 1 else "while loading"
        yield f"{loaded['bytes'] / 2**20:.0f} ({loaded['index_bytes'] / 2**20:.0f})"
    yield f"{ask['rss_mib']:.0f}"


if __name__ == "__main__":
    print("\n".join(lines(results.read(PUBLISHED)["suites"]["peers"]["details"]["systems"])))
