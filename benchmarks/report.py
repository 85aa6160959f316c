"""The page of figures: docs/benchmarks.md between its two marks is made of the results; around them people write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import Figure, number

_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_MET = {None: "", True: "yes", False: "**no**"}


def update(page: Path, results: Mapping[str, Any], names: Sequence[str]) -> None:
    """``names`` are all suites there are, in their order; charts lie in a folder beside the page, named like it."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} has lost its marks {_BEGIN} and {_END}")
    made = "\n".join(_lines(results, names, page.with_suffix("").name))
    page.write_text(f"{before}{begin}\n{made}\n{end}{after}", encoding="utf-8")


def _lines(results: Mapping[str, Any], names: Sequence[str], folder: str) -> Iterator[str]:
    machine, suites = results["machine"], results["suites"]
    there = [name for name in names if name in suites]
    yield (
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Python {machine['python']}, {_versions(machine['versions'])}."
    )
    yield "\n## What is to be reached\n"
    yield "| command | figure | measured | to be reached | met |"
    yield "|---|---|---:|---:|---|"
    for name in there:
        for figure in _figures(suites[name]):
            if figure.target is not None:
                row = (f"[`run {name}`](#{name})", figure.name, _value(figure), str(figure.target), _MET[figure.met])
                yield f"| {' | '.join(row)} |"
    for name in there:
        yield from _suite(name, suites[name], folder)
    if missing := [name for name in names if name not in suites]:
        yield f"\nNot measured yet: {', '.join(missing)}."


def _suite(name: str, kept: Mapping[str, Any], folder: str) -> Iterator[str]:
    yield f"\n## {name}\n"
    size = f"{kept['database_mib']:,} MiB"
    yield f"`python -m benchmarks run {name}`: {kept['data']}. The database held {size} at the end."
    yield (
        f"{kept['date'][:10]}, commit {kept['commit']}, {kept['seconds']:.0f} s; load of the machine "
        f"{kept['load']:g} before and {kept['load_after']:g} after.\n"
    )
    for chart, title in kept["charts"].items():
        yield f"![{title}]({folder}/{chart}.svg)\n"
    yield "| figure | measured | to be reached | |"
    yield "|---|---:|---:|---|"
    for figure in _figures(kept):
        yield f"| {figure.name} | {_value(figure)} | {figure.target or ''} | {figure.note} |"


def _figures(kept: Mapping[str, Any]) -> list[Figure]:
    return [Figure.from_json(each) for each in kept["figures"]]


def _value(figure: Figure) -> str:
    return f"{number(figure.value)} {figure.unit}".strip()


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if name != "ragindex")
