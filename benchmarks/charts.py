"""Charts as SVG, readable on light and on dark: their colours follow the reader's scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from benchmarks.results import Bars, Chart, Lines, number

_WIDTH = 820
_STYLE = """
  .page { fill: #ffffff }
  text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 }
  .axis { stroke: #8c959f; stroke-width: 1 } .grid { stroke: #8c959f; stroke-opacity: .25 }
  .goal { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 5 4 } .goal-text { fill: #cf222e }
  .quiet { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .goal { stroke: #ff7b72 } .goal-text { fill: #ff7b72 }
  }
"""
# Apart from one another for those who see few colours too, on white and on black.
_COLOURS = ("#0969da", "#d4731c", "#1a9a6c", "#a45bd0", "#b0882a", "#d0508a")

#: Where RagIndex stands beside others, they are grey.
_OURS, _RIVAL = "RagIndex", "#8c959f"


def write(path: Path, chart: Chart) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(chart), encoding="utf-8")


def svg(chart: Chart) -> str:
    height, body = _bars(chart) if isinstance(chart, Bars) else _lines(chart)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(chart.title)}">\n<style>{_STYLE}</style>\n'
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="6"/>\n'
        + "\n".join([_text(20, 26, chart.title, "title"), *body])
        + "\n</svg>\n"
    )


def _bars(chart: Bars) -> tuple[int, list[str]]:
    left, right, row, top = 270, 130, 28, 46
    most = max([value for _, value in chart.rows] + [chart.line or 0]) or 1.0
    scale = (_WIDTH - left - right) / most
    bottom = top + row * len(chart.rows)
    parts = []
    compared = any(_OURS in name for name, _ in chart.rows)
    for place, (name, value) in enumerate(chart.rows):
        y = top + place * row
        colour = _RIVAL if compared and _OURS not in name else _COLOURS[0]
        parts.append(_text(left - 10, y + 18, name, anchor="end"))
        parts.append(_rect(left, y + 5, max(value * scale, 1), row - 10, colour))
        parts.append(_text(left + value * scale + 8, y + 18, f"{number(value)} {chart.unit}".strip()))
    parts.append(_line(left, top, left, bottom, "axis"))
    if chart.line is not None:
        x = left + chart.line * scale
        parts.append(_line(x, top - 4, x, bottom + 4, "goal"))
        parts.append(_text(x, bottom + 20, f"to be reached: {number(chart.line)}", "goal-text", anchor="middle"))
    return bottom + (32 if chart.line is not None else 14), parts


def _lines(chart: Lines) -> tuple[int, list[str]]:
    left, right, top, bottom = 80, 260, 66, 340
    across = _Scale([x for series in chart.series for x, _ in series.points], left, _WIDTH - right)
    values = [y for series in chart.series for _, y in series.points]
    up = _Scale(values + ([chart.line] if chart.line is not None else []), bottom, top)
    parts = [_line(left, up.at(tick), _WIDTH - right, up.at(tick), "grid") for tick in up.ticks]
    parts += [_text(left - 8, up.at(tick) + 4, number(tick), "quiet", anchor="end") for tick in up.ticks]
    sizes = sorted({x for series in chart.series for x, _ in series.points})
    parts += [_text(across.at(size), bottom + 20, _short(size), "quiet", anchor="middle") for size in sizes]
    parts += [_line(left, bottom, _WIDTH - right, bottom, "axis"), _line(left, top, left, bottom, "axis")]
    parts.append(_text((left + _WIDTH - right) / 2, bottom + 42, chart.across, "quiet", anchor="middle"))
    parts.append(_text(left, top - 10, chart.up, "quiet", anchor="middle"))
    if chart.line is not None:
        parts.append(_line(left, up.at(chart.line), _WIDTH - right, up.at(chart.line), "goal"))
        goal = f"to be reached: {number(chart.line)}"
        parts.append(_text(left + 6, up.at(chart.line) - 5, goal, "goal-text"))
    ends = [(up.at(series.points[-1][1]), series.name) for series in chart.series]
    places = _apart([y for y, _ in ends], 17)
    for series, colour, y in zip(chart.series, _COLOURS, places, strict=False):
        points = " ".join(f"{across.at(x):.1f},{up.at(value):.1f}" for x, value in series.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.2"/>')
        parts += [
            f'<circle cx="{across.at(x):.1f}" cy="{up.at(value):.1f}" r="3.5" fill="{colour}"/>'
            for x, value in series.points
        ]
        last = number(series.points[-1][1])
        parts.append(_rect(_WIDTH - right + 12, y - 4, 10, 10, colour))
        parts.append(_text(_WIDTH - right + 28, y + 5, f"{series.name}: {last}"))
    return bottom + 58, parts


class _Scale:
    """Logarithmic, from a power of ten to another."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self._low = math.log10(min(positive)) - 0.08
        self._high = max(math.log10(max(positive)) + 0.08, self._low + 0.3)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        part = (math.log10(max(value, 1e-12)) - self._low) / (self._high - self._low)
        return self._start + part * (self._end - self._start)

    @property
    def ticks(self) -> list[float]:
        span = self._high - self._low
        steps = (1, 2, 3, 5, 7) if span < 1 else (1, 2, 5) if span < 2 else (1,)
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        found = [step * 10.0**power for power in powers for step in steps]
        return [tick for tick in found if self._low <= math.log10(tick) <= self._high]


def _apart(places: Sequence[float], least: float) -> list[float]:
    """The same places, moved down where two would lie on each other."""
    moved = list(places)
    order = sorted(range(len(moved)), key=lambda i: moved[i])
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + least)
    return moved


def _short(size: float) -> str:
    for unit, word in ((1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:g}{word}"
    return f"{size:g}"


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, style: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" class="{style}"/>'


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'
