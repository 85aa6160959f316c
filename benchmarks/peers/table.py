"""Puts the figures of a run into docs/benchmarks/peers.md, between its two marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import number

_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_HEAD = (
    "",
    "queries/s, 1 client",
    "8 clients",
    "p50 / p99 ms, 8 clients",
    "processor ms a query",
    "recall@10 (effort)",
    "behind 1 %: rows, recall, p50 ms",
    "load rows/s (processor ms a row)",
    "index build s (processor s)",
    "disk MiB (index)",
    "memory of the client MiB",
)


def update(page: Path, suite: Mapping[str, Any]) -> None:
    """``suite`` is what the results keep of a run of the suite ``peers``."""
    made = "\n".join(_lines(suite))
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    page.write_text(f"{before}{begin}\n{made}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")


def _lines(suite: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in suite["details"]["versions"].items())
    yield f"{suite['date'][:10]}, commit {suite['commit']}: {suite['data']}. {versions}."
    yield f"Load of the machine {suite['load']:g} before and {suite['load_after']:g} after, of two cores.\n"
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for each in suite["details"]["systems"].values():
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
        yield f"{number(loaded['rows_a_second'])} ({loaded['load_cpu_ms']:.1f})"
        built = loaded["build_seconds"] >= 0.1
        yield f"{loaded['build_seconds']:.0f} ({loaded['build_cpu_seconds']:.0f})" if built else "while loading"
        yield f"{loaded['bytes'] / 2**20:.0f} ({loaded['index_bytes'] / 2**20:.0f})"
    yield f"{ask['rss_mib']:.0f}"
