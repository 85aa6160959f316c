"""Comma-, tab- and otherwise separated values: one table whose cells are found again by their A1 range."""

from __future__ import annotations

import csv
from io import StringIO

from ragindex_core.document import BlockKind, DocumentReason, Location, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.grid import Grid, add_grid
from ragindex_worker.parsing.limits import ParseLimits

_DELIMITERS = ",;\t|"
_SAMPLE = 16 * 1024


def parse(text: str, name: str, limits: ParseLimits) -> ParsedDocument:
    dialect = _dialect(text, name)
    csv.field_size_limit(max(limits.max_characters, 1))
    grid = Grid(limits)
    try:
        for row in csv.reader(StringIO(text, newline=""), dialect):
            grid.append(row)
    except csv.Error as error:
        raise DocumentRejected(DocumentReason.CORRUPT, f"the rows cannot be read: {error}") from error
    out = TextBuilder(limits.max_characters)
    if grid.width > 1:
        add_grid(out, grid, sheet=None)
    else:  # one column is no table
        for line, row in enumerate(grid.rows, start=1):
            out.add(BlockKind.PARAGRAPH, row[0] if row else "", Location(cells=f"A{line}:A{line}"))
    media_type = "text/tab-separated-values" if dialect.delimiter == "\t" else "text/csv"
    return out.document(About(media_type, "delimited/1"))


def _dialect(text: str, name: str) -> type[csv.Dialect]:
    """The delimiter that cuts the first lines most evenly; quotes are always doubled quotes."""

    class Dialect(csv.excel):
        delimiter = "\t" if name.lower().endswith((".tsv", ".tab")) else _likeliest_delimiter(text[:_SAMPLE])

    return Dialect


def _likeliest_delimiter(sample: str) -> str:
    lines = [line for line in sample.split("\n")[:20] if line.strip()]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines]
        agreeing = sum(1 for count in counts if count and count == counts[0])
        return agreeing, counts[0] if counts else 0

    return max(_DELIMITERS, key=evenness)
