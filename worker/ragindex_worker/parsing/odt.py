"""OpenDocument texts, read straight from their XML."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ragindex_core.document import BlockKind, MetadataValue, ParsedDocument
from ragindex_worker.parsing.archives import open_archive
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.office import read_part
from ragindex_worker.parsing.xmlio import Element, attribute, child, local, parse_xml

_MEDIA_TYPE = "application/vnd.oasis.opendocument.text"
_UNSEEN = frozenset({"tracked-changes", "annotation", "annotation-end", "forms", "sequence-decls", "table-of-content"})
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_REPEATS = 100  # of a cell or a space; files repeat empty cells by the thousand to the edge of the page


def parse(path: Path, limits: ParseLimits) -> ParsedDocument:
    out = TextBuilder(limits.max_characters)
    with open_archive(path, limits) as archive:
        content = child(read_part(archive, "content.xml"), "body")
        if content is not None:
            _blocks(out, content, in_list=False)
        title, language, metadata = _properties(archive)
    return out.document(About(_MEDIA_TYPE, "odt/1", title, language, metadata))


def _blocks(out: TextBuilder, parent: Element, in_list: bool) -> None:
    for element in parent:
        name = local(element)
        if name == "h":
            level = attribute(element, "outline-level") or "1"
            out.heading(min(int(level), 9) if level.isdecimal() else 1, _text(element))
        elif name == "p":
            text = _text(element)
            if in_list and text.strip():
                out.add(BlockKind.LIST_ITEM, f"- {text}")
            else:
                out.add(BlockKind.PARAGRAPH, text)
            for box in _boxes(element):
                _blocks(out, box, in_list=False)
        elif name == "table":
            out.table([_cells(row) for row in _rows(element)], header=_has_header_rows(element) or None)
        elif name and name not in _UNSEEN:
            _blocks(out, element, in_list or name == "list")


def _boxes(parent: Element) -> Iterator[Element]:
    """The text boxes in a paragraph, without those inside them: each is read once, with what holds it."""
    for element in parent:
        if local(element) == "text-box":
            yield element
        else:
            yield from _boxes(element)


def _rows(table: Element) -> Iterator[Element]:
    for element in table:
        if local(element) == "table-row":
            yield element
        elif local(element) in ("table-header-rows", "table-rows", "table-row-group"):
            yield from _rows(element)


def _has_header_rows(table: Element) -> bool:
    return child(table, "table-header-rows") is not None


def _cells(row: Element) -> list[str]:
    cells: list[str] = []
    for cell in row:
        if local(cell) not in ("table-cell", "covered-table-cell"):
            continue
        text = " ".join(_text(p) for p in cell.iter("{*}p", "{*}h"))
        cells += [text] * _times(cell, "number-columns-repeated")
    return cells


def _text(element: Element) -> str:
    parts = [element.text or ""]
    for part in element:
        name = local(part)
        if name == "s":
            parts.append(" " * _times(part, "c"))
        elif name in ("tab", "line-break"):
            parts.append("\t" if name == "tab" else "\n")
        elif name and name not in ("annotation", "text-box", "note-citation"):
            parts.append(_text(part))
        parts.append(part.tail or "")
    return "".join(parts)


def _times(element: Element, name: str) -> int:
    value = attribute(element, name) or "1"
    return min(int(value), _REPEATS) if value.isdecimal() and len(value) < 10 else 1


def _properties(archive: zipfile.ZipFile) -> tuple[str | None, str | None, dict[str, MetadataValue]]:
    if "meta.xml" not in archive.namelist():
        return None, None, {}
    found: dict[str, str] = {}
    pages = None
    for element in parse_xml(archive.read("meta.xml")).iter("{*}*"):
        found.setdefault(local(element), (element.text or "").strip())
        if local(element) == "document-statistic":
            pages = attribute(element, "page-count")
    metadata: dict[str, MetadataValue] = {
        "author": found.get("initial-creator") or found.get("creator") or "",
        "subject": found.get("subject", ""),
    }
    for name, ours in (("creation-date", "created"), ("date", "modified")):
        match = _DATE.match(found.get(name, ""))
        if match:
            metadata[ours] = f"{match[0]}Z"
    if pages and pages.isdecimal() and len(pages) < 10:
        metadata["pages"] = int(pages)
    return found.get("title"), found.get("language"), metadata
