"""Rows and columns of a sheet become tables: one for each run of rows that no empty row interrupts.

Within a table line n is row n of its A1 range, so that a chunk of some lines can be traced to its cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragindex_core.document import BlockKind, DocumentReason, Location
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.builder import TextBuilder, one_line, too_many_characters
from ragindex_worker.parsing.limits import ParseLimits


class Grid:
    """The cells of one sheet as text, counted against the limits while they come in."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._cells = self._characters = 0
        self.rows: list[list[str]] = []

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)

    def append(self, row: Sequence[str]) -> None:
        """The next row; empty cells at its end are dropped."""
        cells = [one_line(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        self._cells += len(cells)
        self._characters += sum(map(len, cells))
        if len(self.rows) >= self._limits.max_rows:
            raise DocumentRejected(DocumentReason.TOO_LARGE, f"a table holds more than {self._limits.max_rows:,} rows")
        if self._cells > self._limits.max_cells:
            raise DocumentRejected(
                DocumentReason.TOO_LARGE, f"a table holds more than {self._limits.max_cells:,} cells"
            )
        if self._characters > self._limits.max_characters:  # many cells may refer to one long string
            raise too_many_characters(self._limits.max_characters)
        self.rows.append(cells)


def add_grid(out: TextBuilder, grid: Grid, sheet: str | None) -> None:
    """Every region of the grid as a block: a table, or a paragraph where only one cell is filled."""
    for first, rows in _regions(grid.rows):
        left = min(_first_filled(row) for row in rows)
        right = max(len(row) for row in rows)
        cells = f"{column_name(left)}{first + 1}:{column_name(right - 1)}{first + len(rows)}"
        location = Location(sheet=sheet, cells=cells)
        if right - left == 1 and len(rows) == 1:
            out.add(BlockKind.PARAGRAPH, rows[0][left], location)
        else:
            out.table([row[left:] for row in rows], location=location)


def column_name(index: int) -> str:
    """``A`` for 0, ``Z`` for 25, ``AA`` for 26."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _regions(rows: Sequence[list[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    """Runs of rows that hold something, each with the index of its first row. A caption in a single cell above a
    wider row stands for itself, so that it is not taken for the header."""
    first, region = 0, list[list[str]]()
    for index, row in enumerate([*rows, list[str]()]):
        if row and not region:
            first = index
        if row:
            region.append(row)
        if region and (not row or _is_caption(region, rows, index)):
            yield first, region
            region = []


def _is_caption(region: Sequence[list[str]], rows: Sequence[list[str]], index: int) -> bool:
    return len(region) == 1 and _filled(region[0]) == 1 and index + 1 < len(rows) and _filled(rows[index + 1]) > 1


def _filled(row: Sequence[str]) -> int:
    return sum(1 for cell in row if cell)


def _first_filled(row: Sequence[str]) -> int:
    return next(i for i, cell in enumerate(row) if cell)
