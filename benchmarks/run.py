"""One run: the suites after one another on one stage, each kept as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks import charts, machine, report, results
from benchmarks.peers import table
from benchmarks.results import Figure, Outcome
from benchmarks.stage import Stage, opened, say
from benchmarks.suites import embedder, filters, growth, hybrid, keyword, layers, load, memory, peers, search
from ragindex_core.errors import Misconfigured


class Suite(Protocol):
    def __call__(self, stage: Stage, *, quick: bool) -> Outcome: ...


SUITES: Mapping[str, Suite] = {
    "search": search.run,
    "layers": layers.run,
    "keyword": keyword.run,
    "hybrid": hybrid.run,
    "filters": filters.run,
    "load": load.run,
    "embedder": embedder.run,
    "growth": growth.run,
    "peers": peers.run,
    "memory": memory.run,
}
#: Too long for a run of all: by name only.
APART = {"memory"}


#: Figures that the documentation shows are kept here.
PUBLISHED = machine.ROOT / "docs" / "benchmarks"


def run(names: Sequence[str], *, quick: bool, data: Path | None, out: Path) -> int:
    """What the process ends with: 1 when a suite lacked what it needs."""
    kept = results.read(out)
    kept |= {"machine": machine.describe(), "quick": quick}
    results.write(out, kept)  # where nothing can be written, this is the moment to find out
    left_out = 0
    with opened(data) as stage:
        for name in names:
            say(f"{name}:")
            try:
                kept["suites"][name] = _measured(name, SUITES[name], stage, quick=quick, out=out)
            except Misconfigured as error:
                say(f"{name} is left out: {error}")
                left_out += 1
                continue
            results.write(out, kept)
            if out == PUBLISHED:
                report.update(out.with_suffix(".md"), kept, list(SUITES))
                if name == "peers":
                    table.update(out / "peers.md", kept["suites"][name])
    print(f"figures and charts: {out}")
    return 1 if left_out else 0


def _measured(name: str, suite: Suite, stage: Stage, *, quick: bool, out: Path) -> dict[str, Any]:
    before, started = machine.moment(), time.monotonic()
    outcome = suite(stage, quick=quick)
    seconds = time.monotonic() - started
    print_table(f"{name}{' (quick)' if quick else ''}: {outcome.data}", outcome.figures)
    for file, chart in outcome.charts.items():
        charts.write(out / f"{file}.svg", chart)
    return {
        **before,
        "load_after": machine.moment()["load"],
        "seconds": round(seconds, 1),
        "data": outcome.data,
        "database_mib": round(stage.size_mib()),
        "figures": [figure.as_json() for figure in outcome.figures],
        "charts": {file: chart.title for file, chart in outcome.charts.items()},
        "details": outcome.details,
    }


def print_table(title: str, figures: Sequence[Figure]) -> None:
    rows = [
        (
            figure.name,
            f"{results.number(figure.value)} {figure.unit}".strip(),
            str(figure.target or ""),
            {None: "", True: "yes", False: "NO"}[figure.met],
            figure.note,
        )
        for figure in figures
    ]
    head = ("figure", "measured", "target", "met", "")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    print(f"\n{title}")
    for row in [head, *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip())
    print(flush=True)
