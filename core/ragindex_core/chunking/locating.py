"""Where in the original a passage is that covers several blocks, or a part of one."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from ragindex_core.document import BlockKind, Location, ParsedDocument, Span

_BREAK = re.compile("\n")
_RANGE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})(?::([A-Z]{1,3})([1-9][0-9]{0,6}))?")


class Locator:
    """Finds the blocks of a span by bisection, and unites their locations."""

    def __init__(self, document: ParsedDocument) -> None:
        self._text = document.text
        self._breaks: dict[int, list[int]] = {}
        self._blocks = document.blocks
        self._starts = [block.span.start for block in document.blocks]
        self._ends = [block.span.end for block in document.blocks]

    def blocks(self, span: Span) -> range:
        """Positions of the blocks that share a character with the span."""
        return range(bisect_right(self._ends, span.start), bisect_left(self._starts, span.end))

    def locate(self, span: Span) -> Location:
        return united([self._part(i, span) for i in self.blocks(span)])

    def _part(self, position: int, span: Span) -> Location:
        block = self._blocks[position]
        place = block.location
        if block.kind is not BlockKind.TABLE or place.cells is None:
            return place
        if position not in self._breaks:
            table = block.span
            self._breaks[position] = [table.start + m.start() for m in _BREAK.finditer(block.span.of(self._text))]
        return replace(place, cells=rows_of(place.cells, self._breaks[position], span))


def united(locations: list[Location]) -> Location:
    """From the first to the last of them, with only what holds for all it applies to: one sheet, one speaker."""
    pages = [page for place in locations for page in (place.page, place.page_end) if page is not None]
    starts = [place.start_ms for place in locations if place.start_ms is not None]
    ends = [place.end_ms for place in locations if place.end_ms is not None]
    sheets = {place.sheet for place in locations if place.sheet is not None}
    speakers = {place.speaker for place in locations if place.start_ms is not None or place.speaker is not None}
    cells = [place.cells for place in locations if place.cells is not None]
    return Location(
        page=min(pages, default=None),
        page_end=max(pages, default=None),
        sheet=sheets.pop() if len(sheets) == 1 else None,
        cells=_bounding(cells) if len({place.sheet for place in locations if place.cells}) == 1 else None,
        start_ms=min(starts, default=None),
        end_ms=max(ends, default=None),
        speaker=speakers.pop() if len(speakers) == 1 else None,
    )


def rows_of(cells: str, breaks: Sequence[int], part: Span) -> str:
    """The cells of the rows that a part of a table touches, when the table has one line of text for each row.

    ``breaks`` are the positions of the line breaks between its rows.
    """
    match = _RANGE.fullmatch(cells)
    if match is None or match[3] is None or len(breaks) != int(match[4]) - int(match[2]):
        return cells
    first = int(match[2])
    top, bottom = first + bisect_left(breaks, part.start), first + bisect_left(breaks, part.end)
    return f"{match[1]}{top}:{match[3]}{bottom}"


def _bounding(cells: list[str]) -> str | None:
    """The smallest range that holds all of them."""
    matches = [_RANGE.fullmatch(each) for each in cells]
    corners = [
        (_column(column), int(row))
        for match in matches
        if match is not None
        for column, row in ((match[1], match[2]), (match[3] or match[1], match[4] or match[2]))
    ]
    if not corners or None in matches:
        return None
    columns, rows = [column for column, _ in corners], [row for _, row in corners]
    return f"{_letters(min(columns))}{min(rows)}:{_letters(max(columns))}{max(rows)}"


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
