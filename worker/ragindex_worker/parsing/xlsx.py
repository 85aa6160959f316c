"""Spreadsheets: every sheet becomes tables that know their cells. Values are those the file was saved with."""

from __future__ import annotations

import warnings
from datetime import date, datetime, time
from pathlib import Path

from openpyxl import load_workbook
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from ragindex_core.document import Location, ParsedDocument
from ragindex_worker.parsing.archives import open_archive
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.grid import Grid, add_grid
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.office import core_properties, transitional

_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_EMPTY_ROWS = 10_000  # in a row: nothing but formatting goes on


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    with open_archive(path, limits) as archive:
        core = core_properties(archive)
    out = TextBuilder(limits.max_characters)
    with warnings.catch_warnings(), transitional(path, limits) as source:
        warnings.simplefilter("ignore")  # openpyxl warns of features it drops, none of which hold text
        book = load_workbook(source, read_only=True, data_only=True, keep_links=False)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            grid = _grid(sheet, limits)
            if any(grid.rows) and len(sheets) > 1:
                out.heading(1, sheet.title, Location(sheet=sheet.title))
            add_grid(out, grid, sheet.title)
    metadata = {**core.metadata, "sheets": [sheet.title for sheet in sheets]}
    return out.document(About(_MEDIA_TYPE, "xlsx/1", core.title, core.language, metadata))


def _grid(sheet: ReadOnlyWorksheet, limits: ParseLimits) -> Grid:
    """The cells of a sheet. Its declared size is not believed, and long stretches of empty rows end it."""
    sheet.reset_dimensions()
    grid = Grid(limits)
    empty = 0
    for row in sheet.iter_rows(values_only=True):  # type: ignore[misc]  # the stubs type self too narrowly
        grid.append([_shown(value) for value in row])
        empty = 0 if grid.rows[-1] else empty + 1
        if empty > _EMPTY_ROWS:
            break
    return grid


def _shown(value: object) -> str:
    """A value as a reader would write it down."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
