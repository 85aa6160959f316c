"""Normalised text grows here, block by block, and every block remembers its span.

A parser says what it found (``heading``, ``add``, ``table``); separators, offsets, character rules, the limit on
characters and the document's title are this module's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ragindex_core.document import (
    Block,
    BlockKind,
    DocumentReason,
    Location,
    MetadataValue,
    ParsedDocument,
    Span,
)
from ragindex_core.errors import DocumentRejected

NOWHERE = Location()

_LINE_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Control characters, the byte-order mark, soft hyphens and non-characters: nobody sees them, and they split words.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\ufeff\ufffe\uffff]")
# Blanks that forbid a break are for setting type; nobody types them into a question.
_WIDE_BLANKS = {0xA0: " ", 0x2007: " ", 0x202F: " "}
_SURROGATES = re.compile("[\ud800-\udfff]")
_WHITE_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?[-+]?\d[\d.,' ]*\s?[%)]?|[-–—]")

_SUSPICIOUS_TITLE = re.compile(
    r"(untitled|unknown|unbenannt|sans titre|no title|title|titel|about:blank|default"
    r"|(document|dokument|presentation|powerpoint presentation|powerpoint-präsentation|book|mappe|sheet|slide)\s*\d*"
    r"|microsoft (word|excel|powerpoint)\b.*"
    r"|\S+\.(docx?|xlsx?|pptx?|pdf|rtf|odt|txt|html?|indd|qxd|tex|dvi|ps|jpe?g|png|tiff?|pages|key|wpd|md))",
    re.IGNORECASE,
)
_TITLE_LENGTH = 300
_METADATA_LENGTH = 2000  # characters of a string, and of the members of a list
_METADATA_MEMBERS = 100
_MOST_BLOCKS = 300_000  # each is an object in the worker's memory, which no limit of the parser's guards
_HEADING_LENGTH = 300
_TITLE_IS_AMONG_BLOCKS = 20


def normalise(text: str) -> str:
    """The same text by the rules of ``ParsedDocument``: one kind of line break, nothing invisible, composed letters."""
    text = _LINE_BREAKS.sub("\n", text)
    text = _INVISIBLE.sub("", text)
    text = _SURROGATES.sub("\ufffd", text).translate(_WIDE_BLANKS)
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    if text.isascii() and text.isprintable():  # nearly every cell of a table
        return " ".join(text.split())
    return _WHITE_SPACE.sub(" ", normalise(text)).strip()


def clean_title(title: str | None) -> str | None:
    """A title as its author meant it, or None when a program made it up."""
    cleaned = one_line((title or "")[: 10 * _TITLE_LENGTH])
    if not any(c.isalpha() for c in cleaned) or _SUSPICIOUS_TITLE.fullmatch(cleaned):
        return None
    return cleaned[:_TITLE_LENGTH].rstrip()


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: words in every cell (but perhaps the corner), and rows below."""
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    corner, *names = rows[0]
    return all(name and not _NUMBER.fullmatch(name) for name in names) and not _NUMBER.fullmatch(corner or "x")


@dataclass(frozen=True, slots=True)
class About:
    """What the file tells of itself, beside its text."""

    media_type: str
    parser: str  # name and version
    title: str | None = None
    language: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)


class TextBuilder:
    """Appends blocks to a text that is never all in one piece before ``document``."""

    def __init__(self, max_characters: int) -> None:
        self._max_characters = max_characters
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._blocks)

    def heading(self, level: int, text: str, location: Location = NOWHERE) -> None:
        text = one_line(text)
        if len(text) > _HEADING_LENGTH:  # set like a heading, but nobody's idea of one
            self._append(BlockKind.PARAGRAPH, text, location)
        elif text:
            if len(self._blocks) < _TITLE_IS_AMONG_BLOCKS:
                self._headings.append((level, text))
            self._append(BlockKind.HEADING, text, location, level=max(1, level))

    def add(self, kind: BlockKind, text: str, location: Location = NOWHERE) -> None:
        """A paragraph, list item, piece of code or speech; white space alone is passed over."""
        self._append(kind, normalise(text), location)

    def table(self, rows: Iterable[Sequence[str]], header: bool | None = None, location: Location = NOWHERE) -> None:
        """One line a row, so that line n of the block is row n of ``rows``; rows of white space alone are left out.

        ``header`` says whether the first row is one; by default it is guessed.
        """
        cells = [[one_line(cell) for cell in row] for row in rows]
        cells = [row[: _width(row)] for row in cells if any(row)]
        if not cells:
            return
        lines = [_row(row) for row in cells]
        named = has_header(cells) if header is None else header and len(cells) > 1
        self._append(BlockKind.TABLE, "\n".join(lines), location, header_length=len(lines[0]) if named else 0)

    def document(self, about: About) -> ParsedDocument:
        return finish("".join(self._parts), self._blocks, about, self._first_heading())

    def _first_heading(self) -> str | None:
        """The highest of the first headings; of several equally high ones, the first."""
        return min(self._headings, key=lambda heading: heading[0])[1] if self._headings else None

    def _append(self, kind: BlockKind, text: str, location: Location, level: int = 0, header_length: int = 0) -> None:
        text = text.rstrip() if kind is BlockKind.CODE else text.strip()
        text = text.lstrip("\n")
        if not text.strip():
            return
        gap = self._gap_before(kind)
        start = self._length + len(gap)
        span = Span(start, start + len(text))
        if span.end > self._max_characters:
            raise too_many_characters(self._max_characters)
        if len(self._blocks) >= _MOST_BLOCKS:
            raise _too_many_blocks()
        self._parts += (gap, text)
        self._length = span.end
        header = Span(start, start + header_length) if header_length else None
        self._blocks.append(Block(kind, span, level, location, header))

    def _gap_before(self, kind: BlockKind) -> str:
        if not self._blocks:
            return ""
        runs_on = kind in (BlockKind.LIST_ITEM, BlockKind.SPEECH) and self._blocks[-1].kind is kind
        return "\n" if runs_on else "\n\n"


def finish(text: str, blocks: Sequence[Block], about: About, first_heading: str | None) -> ParsedDocument:
    """The document of a text that is complete; refused when there is nothing in it to read."""
    if not blocks:
        raise DocumentRejected(DocumentReason.EMPTY, "the document holds nothing but white space")
    if len(blocks) > _MOST_BLOCKS:
        raise _too_many_blocks()
    return ParsedDocument(
        text=text,
        blocks=tuple(blocks),
        title=clean_title(about.title) or clean_title(first_heading),
        language=language_code(about.language),
        media_type=about.media_type,
        metadata=clean_metadata(about.metadata),
        parser=about.parser,
    )


def too_many_characters(limit: int) -> DocumentRejected:
    return DocumentRejected(DocumentReason.TOO_LARGE, f"the document holds more than {limit:,} characters of text")


def _too_many_blocks() -> DocumentRejected:
    return DocumentRejected(DocumentReason.TOO_LARGE, f"the document holds more than {_MOST_BLOCKS:,} paragraphs")


def language_code(tag: str | None) -> str | None:
    """ISO 639-1 of a language tag such as ``en-GB``; None for what is no such tag."""
    match = re.fullmatch(r"\s*([A-Za-z]{2})(?:[-_].*)?\s*", tag or "")
    return match[1].lower() if match else None


def clean_metadata(found: Mapping[str, MetadataValue]) -> dict[str, MetadataValue]:
    """Without what is empty, and with every string by the rules of the text, short enough to go with each result."""
    clean: dict[str, MetadataValue] = {}
    for key, value in found.items():
        if isinstance(value, str):
            clean[key] = one_line(value[:_METADATA_LENGTH])
        elif isinstance(value, list):
            lines = (one_line(member[:_METADATA_LENGTH]) for member in value[:_METADATA_MEMBERS])
            clean[key] = [line for line in lines if line]
        else:
            clean[key] = value
    return {key: value for key, value in clean.items() if value not in ("", [])}


def _row(cells: Sequence[str]) -> str:
    """Cells joined; a first cell that is empty still holds its column."""
    return " | ".join(cells).strip()


def _width(cells: Sequence[str]) -> int:
    return max(i for i, cell in enumerate(cells, start=1) if cell)
