"""What commands show: aligned plain text, JSON when asked, progress only to a person who watches."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

_MOST_WIDTH = 110


def say(text: str = "", *, end: str = "\n") -> None:
    click.echo(text + end, nl=False)


def note(text: str) -> None:
    """What a person should know and a script should not read."""
    click.echo(text, err=True)


def as_json(value: Any) -> None:
    """For people indented, for programs on one line."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent))


def watched() -> bool:
    """Whether a person sees what is shown on the way."""
    return sys.stderr.isatty()


def strong(text: str) -> str:
    return click.style(text, bold=True)


def dim(text: str) -> str:
    return click.style(text, dim=True)


def coloured(state: str, text: str | None = None) -> str:
    """A state in the colour of what it calls for."""
    good, bad = {"Indexed", "True", "Done", "Ready"}, {"Failed", "False", "Refused"}
    colour = "green" if state in good else "red" if state in bad else "yellow"
    return click.style(text if text is not None else state, fg=colour)


def width() -> int:
    return min(shutil.get_terminal_size((_MOST_WIDTH, 24)).columns, _MOST_WIDTH)


def indented(text: str, by: str = "  ", most_lines: int | None = None) -> str:
    lines = [line for part in text.splitlines() for line in (textwrap.wrap(part, width() - len(by)) or [""])]
    if most_lines is not None and len(lines) > most_lines:
        lines = [*lines[:most_lines], "…"]
    return "\n".join(f"{by}{line}".rstrip() for line in lines)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as what is in them; a cell that is a number stands to the right."""
    cells = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(_columns(row[place]) for row in cells) for place in range(len(heads))]
    lines = []
    for number, row in enumerate(cells):
        padded = []
        for cell, wide in zip(row, widths, strict=True):
            space = " " * (wide - _columns(cell))
            padded.append(space + cell if number and _is_number(cell) else cell + space)
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _columns(text: str) -> int:
    plain = click.unstyle(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in plain)


def _is_number(cell: str) -> bool:
    return click.unstyle(cell).replace(".", "", 1).replace(",", "").isdigit()


def ago(moment: str | None, now: datetime | None = None) -> str:
    """``4 min ago``, out of an RFC 3339 time."""
    if not moment:
        return "never"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    ahead = seconds < 0
    seconds = abs(seconds)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= length:
            amount = f"{int(seconds // length)} {unit}"
            return f"in {amount}" if ahead else f"{amount} ago"
    return "now"


class Progress:
    """A bar on standard error for a person; for a log, a plain line now and then."""

    def __init__(self, label: str, length: int, unit: str = "") -> None:
        self._label = label
        self._length = max(length, 1)
        self._unit = unit
        self._done = 0
        self._shown = -1
        self._watched = watched()

    def to(self, done: int) -> None:
        self._done = min(done, self._length)
        self._show()

    def of(self, done: int, length: int) -> None:
        """For work whose size is learnt on the way."""
        self._length = max(length, 1)
        self.to(done)

    def advance(self, by: int = 1) -> None:
        self.to(self._done + by)

    def _show(self) -> None:
        percent = self._done * 100 // self._length
        step = percent if self._watched else percent // 25
        if step == self._shown:
            return
        self._shown = step
        counts = f"{self._done}/{self._length}{self._unit}"
        if self._watched:
            full = percent * 24 // 100
            click.echo(f"\r\033[K  {self._label} [{'█' * full}{'░' * (24 - full)}] {counts}", nl=False, err=True)
        else:
            click.echo(f"{self._label}: {counts}", err=True)

    def close(self) -> None:
        if self._watched and self._shown >= 0:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def progress(label: str, length: int, unit: str = "") -> Iterator[Progress]:
    bar = Progress(label, length, unit)
    try:
        yield bar
    finally:
        bar.close()
