"""Figures, what they are held against, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

FILE = "results.json"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should at least, or at most, be."""

    side: Literal["at least", "at most"]
    value: float

    def met_by(self, value: float) -> bool:
        return value >= self.value if self.side == "at least" else value <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.side == 'at least' else '≤'} {number(self.value)}"


def at_least(value: float) -> Target:
    return Target("at least", value)


def at_most(value: float) -> Target:
    return Target("at most", value)


@dataclass(frozen=True, slots=True)
class Figure:
    """``ratio`` tells that the value is a share of a rival's or limit's figure of the same run; ``note`` how it was
    got, where the name alone does not tell."""

    name: str
    value: float
    unit: str
    target: Target | None = None
    ratio: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.target.met_by(self.value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"value": round(self.value, 6), "met": self.met}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Figure:
        values = {name: kept[name] for name in ("name", "value", "unit", "ratio", "note")}
        target = kept["target"]
        return cls(**values, target=None if target is None else Target(**target))


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: its name and its points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of one bar a row; ``line`` marks what is to be reached."""

    title: str
    unit: str
    rows: Sequence[tuple[str, float]]
    line: float | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """A chart of values over sizes, both on logarithmic scales."""

    title: str
    across: str
    up: str
    series: Sequence[Series]
    line: float | None = None


Chart = Bars | Lines


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a suite found. ``data`` says in words how much there was; ``details`` is what else is worth keeping."""

    data: str
    figures: Sequence[Figure]
    details: Mapping[str, Any] = field(default_factory=dict)
    charts: Mapping[str, Chart] = field(default_factory=dict)


def number(value: float) -> str:
    """Three digits that count, and no more than that."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1g}"


def read(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {"suites": {}}


def write(folder: Path, results: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")
