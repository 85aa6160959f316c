"""Word documents, both dialects, read straight from their XML: python-docx refuses Strict files, and passes over
content controls, tracked insertions, text boxes and equations.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ragindex_core.document import BlockKind, ParsedDocument
from ragindex_worker.parsing.archives import open_archive
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.office import core_properties, main_part, read_part, related_part
from ragindex_worker.parsing.xmlio import Element, attribute, child, local

_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
# Deleted or moved text, the twin of a text box for old readers, and field codes are not part of what a reader sees.
_UNSEEN = frozenset({"del", "moveFrom", "Fallback", "instrText", "delText", "rPr", "pPr", "tblPr", "trPr", "tcPr"})
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_BASED_ON_DEPTH = 10
_OFF = frozenset({"0", "false", "off"})


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str | None
    outline_level: int | None
    numbered: bool


@dataclass(slots=True)
class _Styles:
    by_id: dict[str, _Style] = field(default_factory=dict)

    def chain(self, style_id: str | None) -> Iterator[_Style]:
        """The style and those it is based on, nearest first."""
        for _ in range(_BASED_ON_DEPTH):
            style = self.by_id.get(style_id) if style_id else None
            if style is None:
                return
            yield style
            style_id = style.based_on


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    with open_archive(path, limits) as archive:
        main = main_part(archive)
        body = child(read_part(archive, main), "body")
        reader = _Reader(TextBuilder(limits.max_characters), _read_styles(archive, main))
        if body is not None:
            reader.blocks(body)
        for kind in ("footnotes", "endnotes"):
            notes = related_part(archive, main, kind)
            if notes is not None:
                reader.blocks(notes)
        core = core_properties(archive)
    return reader.out.document(About(_MEDIA_TYPE, "docx/1", core.title, core.language, core.metadata))


class _Reader:
    """Walks over what may hold paragraphs and tables, in the order of the document."""

    def __init__(self, out: TextBuilder, styles: _Styles) -> None:
        self.out = out
        self._styles = styles

    def blocks(self, parent: Element) -> None:
        for element in parent:
            name = local(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element)
            elif name and name not in _UNSEEN:
                self.blocks(element)

    def _paragraph(self, paragraph: Element) -> None:
        boxes: list[Element] = []
        text = _text(paragraph, boxes)
        level, item = self._role(paragraph)
        if level:
            self.out.heading(level, text)
        elif item:
            self.out.add(BlockKind.LIST_ITEM, f"- {text}" if text.strip() else "")
        else:
            self.out.add(BlockKind.PARAGRAPH, text)
        for box in boxes:
            self.blocks(box)

    def _role(self, paragraph: Element) -> tuple[int, bool]:
        """The level of a heading (else 0), and whether the paragraph is an item of a list."""
        properties = child(paragraph, "pPr")
        style_id, numbered = None, False
        if properties is not None:
            style = child(properties, "pStyle")
            style_id = attribute(style, "val") if style is not None else None
            level = _outline_level(properties)
            if level is not None:
                return level, False
            numbered = _is_numbered(properties)
        for style_found in self._styles.chain(style_id):
            named = _HEADING.fullmatch(style_found.name)
            if named:
                return max(1, int(named[1])), False
            if style_found.name.lower() == "title":
                return 1, False
            if style_found.outline_level is not None:
                return style_found.outline_level, False
            numbered = numbered or style_found.numbered or style_found.name.lower().startswith("list ")
        return 0, numbered

    def _table(self, table: Element) -> None:
        rows = [list(_children(row, "tc")) for row in _children(table, "tr")]
        if sum(len(row) for row in rows) == 1:  # a frame around text, not a table
            self.blocks(rows[0][0])
            return
        marked = any(_is_header(row) for row in list(_children(table, "tr"))[:1])
        self.out.table([[_cell(cell) for cell in row] for row in rows], header=True if marked else None)


def _text(element: Element, boxes: list[Element]) -> str:
    """What is read along the line. Text boxes anchored in it are put aside into ``boxes``."""
    parts: list[str] = []
    for part in element:
        name = local(part)
        if name == "t":
            parts.append(part.text or "")
        elif name in _BREAKS:
            parts.append(_BREAKS[name])
        elif name == "txbxContent":
            boxes.append(part)
        elif name and name not in _UNSEEN:
            parts.append(_text(part, boxes))
    return "".join(parts)


def _cell(cell: Element) -> str:
    """A cell on one line, with the paragraphs of tables and boxes inside it. What a merged cell covers is empty."""
    properties = child(cell, "tcPr")
    merged = child(properties, "vMerge") if properties is not None else None
    if merged is not None and attribute(merged, "val") in (None, "continue"):
        return ""
    return " ".join(text for text in (_text(p, []) for p in cell.iter("{*}p")) if text.strip())


def _children(parent: Element, name: str) -> Iterator[Element]:
    """Rows of a table or cells of a row, also those wrapped in content controls and tracked insertions."""
    for element in parent:
        found = local(element)
        if found == name:
            yield element
        elif found in ("sdt", "sdtContent", "ins", "customXml", "moveTo"):
            yield from _children(element, name)


def _is_header(row: Element) -> bool:
    properties = child(row, "trPr")
    mark = child(properties, "tblHeader") if properties is not None else None
    return mark is not None and attribute(mark, "val") not in _OFF


def _outline_level(properties: Element) -> int | None:
    level = child(properties, "outlineLvl")
    value = attribute(level, "val") if level is not None else None
    return int(value) + 1 if value and value.isdecimal() and int(value) < 9 else None  # 9 says "body text"


def _is_numbered(properties: Element) -> bool:
    numbering = child(properties, "numPr")
    number = child(numbering, "numId") if numbering is not None else None
    return number is not None and attribute(number, "val") != "0"


def _read_styles(archive: zipfile.ZipFile, main: str) -> _Styles:
    root = related_part(archive, main, "styles")
    styles = _Styles()
    for element in root if root is not None else ():
        style_id = attribute(element, "styleId")
        if local(element) != "style" or style_id is None:
            continue
        name, based_on, properties = child(element, "name"), child(element, "basedOn"), child(element, "pPr")
        styles.by_id[style_id] = _Style(
            name=(attribute(name, "val") or "") if name is not None else "",
            based_on=attribute(based_on, "val") if based_on is not None else None,
            outline_level=_outline_level(properties) if properties is not None else None,
            numbered=_is_numbered(properties) if properties is not None else False,
        )
    return styles
