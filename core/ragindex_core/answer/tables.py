"""Tables inside a passage: one line a row, cells with a bar between them, as parsers and Markdown write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragindex_core.chunking.sentences import trimmed
from ragindex_core.document import Span

_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?")
_DIGIT = re.compile(r"\d")
_RANGE = re.compile(r"\b(\d{1,3})\s*(?:to|bis|-|–)\s*(?:[^\W\d]+\s+)?(\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class Table:
    """``header`` is None where the passage does not show it: a table's later rows are passages of their own."""

    span: Span
    header: Span | None
    rows: tuple[Span, ...]


def tables(text: str) -> list[Table]:
    found: list[Table] = []
    lines: list[Span] = []
    at = 0
    for line in [*text.splitlines(keepends=True), ""]:
        if _is_row(line) and (not lines or _is_rule(line) or len(cells(line)) == len(cells(lines[0].of(text)))):
            span = trimmed(text, at, at + len(line))
            lines += [span] if span is not None else []
        else:
            if len(lines) > 1:
                found.append(_table(text, lines))
            again = trimmed(text, at, at + len(line)) if _is_row(line) else None
            lines = [again] if again is not None else []
        at += len(line)
    return found


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split("|")]


def paired(header: str | None, row: str) -> str:
    """A row as it can be read aloud: each cell after the name of its column."""
    names = cells(header) if header is not None else []
    values = cells(row)
    if len(names) != len(values):
        return ", ".join(value for value in values if value)
    return ", ".join(f"{name}: {value}" if name else value for name, value in zip(names, values, strict=True) if value)


def numbers_between(row: str) -> frozenset[str]:
    """The whole numbers inside a row's ranges: "week 7 to week 26" is about week 10."""
    return frozenset(
        str(number) for first, last in _RANGE.findall(row) for number in range(int(first), min(int(last), 999) + 1)
    )


def _is_row(line: str) -> bool:
    return " | " in line or (line.lstrip().startswith("|") and line.rstrip().endswith("|") and len(line.strip()) > 1)


def _is_rule(line: str) -> bool:
    return _RULE.fullmatch(line.strip()) is not None


def _table(text: str, lines: Sequence[Span]) -> Table:
    rows = tuple(line for line in lines if not _is_rule(line.of(text)))
    whole = Span(lines[0].start, lines[-1].end)
    ruled = len(lines) > 1 and _is_rule(lines[1].of(text))
    if len(rows) > 1 and (ruled or _names_columns(text, rows)):
        return Table(whole, rows[0], rows[1:])
    return Table(whole, None, rows)


def _names_columns(text: str, rows: Sequence[Span]) -> bool:
    """Whether the first row has words alone where all the others have figures."""
    first, *others = (cells(row.of(text)) for row in rows)
    if any(_DIGIT.search(cell) for cell in first if len(cell) < 12):
        return False
    return any(all(_DIGIT.search(cell) for cell in column) for column in zip(*others, strict=True))
