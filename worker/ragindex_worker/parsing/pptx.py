"""Presentations: a slide is a page, its title a heading; notes of the speaker belong to their slide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.shapes.base import BaseShape
from pptx.shapes.group import GroupShape
from pptx.slide import Slide
from pptx.table import Table
from pptx.text.text import TextFrame

from ragindex_core.document import BlockKind, DocumentReason, Location, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.archives import open_archive
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.office import core_properties, transitional

_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
# Repeated on every slide, they say nothing of it.
_FURNITURE = frozenset({PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER})
_DEPTH = 50


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    with open_archive(path, limits) as archive:
        core = core_properties(archive)
    out = TextBuilder(limits.max_characters)
    with transitional(path, limits) as source:
        slides = Presentation(source).slides
        if len(slides) > limits.max_pages:
            raise DocumentRejected(
                DocumentReason.TOO_LARGE, f"the file has {len(slides):,} slides; at most {limits.max_pages:,} are read"
            )
        pictures = False
        for number, slide in enumerate(slides, start=1):
            before = len(out)
            _add_slide(out, slide, Location(page=number))
            pictures = pictures or (len(out) == before and len(slide.shapes) > 0)
        count = len(slides)
    if not len(out) and pictures:
        raise DocumentRejected(DocumentReason.NO_TEXT, "the slides are images without text")
    return out.document(About(_MEDIA_TYPE, "pptx/1", core.title, core.language, {**core.metadata, "pages": count}))


def _add_slide(out: TextBuilder, slide: Slide, location: Location) -> None:
    title = slide.shapes.title
    if title is not None:
        out.heading(1, title.text_frame.text, location)
    for shape in _shapes(slide.shapes, _DEPTH):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        table = getattr(shape, "table", None) if getattr(shape, "has_table", False) else None
        if isinstance(table, Table):
            _add_table(out, table, location)
        elif shape.has_text_frame:
            _add_text(out, shape, location)
    if slide.has_notes_slide:
        notes = slide.notes_slide.notes_text_frame
        if notes is not None:
            out.add(BlockKind.PARAGRAPH, notes.text, location)


def _shapes(shapes: object, depth: int) -> Iterator[BaseShape]:
    """Shapes in the order of the file, which is the one screen readers follow; groups opened."""
    for shape in shapes:  # type: ignore[attr-defined]  # python-pptx types its collections loosely
        if isinstance(shape, GroupShape):
            if depth:
                yield from _shapes(shape.shapes, depth - 1)
        elif not (shape.is_placeholder and shape.placeholder_format.type in _FURNITURE):
            yield shape


def _add_text(out: TextBuilder, shape: BaseShape, location: Location) -> None:
    frame: TextFrame = shape.text_frame  # type: ignore[attr-defined]  # has_text_frame was asked
    paragraphs = [p for p in frame.paragraphs if p.text.strip()]
    listed = shape.is_placeholder and len(paragraphs) > 1
    for paragraph in paragraphs:
        if listed or paragraph.level:
            out.add(BlockKind.LIST_ITEM, f"- {paragraph.text}", location)
        else:
            out.add(BlockKind.PARAGRAPH, paragraph.text, location)


def _add_table(out: TextBuilder, table: Table, location: Location) -> None:
    rows = [["" if cell.is_spanned else cell.text for cell in row.cells] for row in table.rows]
    out.table(rows, header=True if table.first_row else None, location=location)
