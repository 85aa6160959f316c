"""XML read the one safe way: no entities, no network, no DTD, none of libxml2's limits lifted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from lxml import etree

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected

Element: TypeAlias = etree._Element  # lxml gives its elements no public name

_MOST_ATTRIBUTES = 1000  # of one element: lxml takes time by the square of their number
_BEYOND_LIMITS = re.compile("XML_PARSE_HUGE|amplification|Excessive depth")


def parse_xml(data: bytes) -> Element:
    """The root element. Raises DocumentRejected: Corrupt when it is not well formed, TooLarge when it is nested or
    bloated beyond libxml2's limits."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if "ERR_NO_MEMORY" in str(error.error_log):
            raise MemoryError from error
        if _BEYOND_LIMITS.search(str(error)):
            raise DocumentRejected(DocumentReason.TOO_LARGE, "the XML is nested or bloated beyond measure") from error
        raise DocumentRejected(DocumentReason.CORRUPT, "the XML is not well formed") from error
    return root


def local(element: Element) -> str:
    """The tag without its namespace; empty for comments, instructions and entities."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """The attribute of that local name, whatever its namespace."""
    return next((value for key, value in attributes(element) if key == name), None)


def attributes(element: Element) -> Iterator[tuple[str, str]]:
    """All of them, by their local names."""
    if len(element.attrib) > _MOST_ATTRIBUTES:
        message = f"an element of the XML has more than {_MOST_ATTRIBUTES:,} attributes"
        raise DocumentRejected(DocumentReason.TOO_LARGE, message)
    for key, value in element.attrib.items():
        yield str(key).rpartition("}")[2], str(value)


def child(element: Element, name: str) -> Element | None:
    return next((c for c in element if local(c) == name), None)
