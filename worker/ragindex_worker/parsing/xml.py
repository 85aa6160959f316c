"""Any XML: its words with the names they stand under. The children of the root (or of its only child) are blocks."""

from __future__ import annotations

from collections.abc import Iterator

from ragindex_core.document import BlockKind, ParsedDocument
from ragindex_worker.parsing.builder import About, TextBuilder, one_line
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.xmlio import Element, attributes, local, parse_xml

_LABELLED = 120  # characters: longer text is prose and needs no name before it


def parse(text: str, limits: ParseLimits) -> ParsedDocument:
    # The text was decoded by what the bytes are, whatever the declaration claims.
    if text.lstrip().startswith("<?xml"):
        text = text[text.index("?>") + 2 :] if "?>" in text else text
    root = parse_xml(text.strip().encode("utf-8"))
    out = TextBuilder(limits.max_characters)
    top = root
    while len(top) == 1 and not (top.text or "").strip() and len(top[0]):
        top = top[0]
    if _is_mixed(top) or not len(top):
        out.add(BlockKind.PARAGRAPH, "\n".join(_lines(top)))
    else:
        for element in top:
            out.add(BlockKind.PARAGRAPH, "\n".join(_lines(element)))
    return out.document(About("application/xml", "xml/1"))


def _lines(element: Element) -> Iterator[str]:
    """One line for each element that holds text of its own."""
    name = local(element)
    if not name:
        return
    if not len(element) or _is_mixed(element):
        text = one_line("".join(str(part) for part in element.itertext("{*}*")))
        if text:
            yield f"{name}: {text}" if len(text) <= _LABELLED else text
        else:
            values = ", ".join(f"{key}={one_line(value)}" for key, value in attributes(element))
            if values:
                yield f"{name}: {values}"
        return
    for child in element:
        yield from _lines(child)


def _is_mixed(element: Element) -> bool:
    """Whether words stand between the children: a sentence with marks in it, to be read in one go."""
    return bool(len(element)) and (bool((element.text or "").strip()) or any((c.tail or "").strip() for c in element))
