"""Figures are kept, held against their targets, and shown on a page that people write around."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks import charts, report
from benchmarks.results import Bars, Chart, Figure, Lines, Series, at_least, at_most, number, read, write

RATE = Figure("share of pgbench", 0.5, "", at_least(0.65), ratio=True)
RESULTS: dict[str, Any] = {
    "machine": {"processor": "a chip", "cores": 2, "memory_gib": 4, "python": "3.11", "versions": {"numpy": "2"}},
    "suites": {
        "search": {
            "date": "2025-01-02T03:04:05+00:00",
            "commit": "abc",
            "seconds": 60.0,
            "load": 0.1,
            "load_after": 2,
            "data": "a few passages",
            "database_mib": 12,
            "charts": {"search-rate": "Queries a second"},
            "figures": [RATE.as_json(), Figure("rate", 1234.5, "queries/s").as_json()],
        }
    },
}


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("p50", 4.9, "ms", at_most(5)), True),
        (Figure("p50", 5.1, "ms", at_most(5)), False),
        (RATE, False),
        (Figure("p50", 1, "ms"), None),
    ],
)
def test_a_figure_is_held_against_its_target(figure: Figure, met: bool | None) -> None:
    assert figure.met is met
    assert Figure.from_json(figure.as_json()) == figure


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (0, 0.65432, 12.345, 1789.5)] == ["0", "0.654", "12.3", "1,790"]


def test_results_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path) == {"suites": {}}
    write(tmp_path / "new", RESULTS)
    assert read(tmp_path / "new") == RESULTS


def test_the_page_keeps_what_people_wrote_and_shows_the_figures_anew(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n")
    report.update(page, RESULTS, ["search", "load"])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| [`run search`](#search) | share of pgbench | 0.5 | ≥ 0.65 | **no** |" in text
    assert "![Queries a second](benchmarks/search-rate.svg)" in text
    assert "Not measured yet: load." in text
    report.update(page, RESULTS, ["search", "load"])
    assert page.read_text() == text


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("mine\n")
    with pytest.raises(ValueError, match="lost its marks"):
        report.update(page, RESULTS, ["search"])
    assert page.read_text() == "mine\n"


@pytest.mark.parametrize(
    "chart",
    [
        Bars("Rates & ratios", "/s", [("one <b>", 10.0), ("none", 0.0)], line=7),
        Bars("Nothing yet", "ms", [("none", 0.0)]),
        Lines("Growth", "passages", "ms", [Series("a", [(1000, 1.0), (100_000, 30.0)]), Series("b", [(1000, 1.1)])]),
    ],
)
def test_a_chart_is_well_formed(chart: Chart) -> None:
    root = ElementTree.fromstring(charts.svg(chart))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert chart.title in "".join(root.itertext())
