"""A document as the rest of RagIndex sees it: normalised text, and where each part of it came from.

Offsets are Unicode code points into ``ParsedDocument.text``, half open. The text never changes after parsing: chunks,
citations and the API's ``content`` all point into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

#: What a metadata value may be. Dates are RFC 3339 strings; filters never coerce one type into another.
MetadataValue: TypeAlias = str | int | float | bool | list[str]


class DocumentState(StrEnum):
    """Where a document stands in one revision of an index."""

    PENDING = "Pending"
    PROCESSING = "Processing"
    INDEXED = "Indexed"
    FAILED = "Failed"
    DELETING = "Deleting"


class DocumentReason(StrEnum):
    """Why a document is not indexed. A closed list, documented in docs/document-states.md."""

    ENCRYPTED = "Encrypted"  # needs a password to open
    CORRUPT = "Corrupt"  # not what its kind says, or damaged beyond reading
    NO_TEXT = "NoText"  # pages without a text layer: a scan
    EMPTY = "Empty"  # nothing in it but white space
    TOO_LARGE = "TooLarge"  # above maxObjectBytes, or above a limit on pages, cells, entries or characters
    UNSUPPORTED = "Unsupported"  # a kind of file that no parser reads
    POISON = "Poison"  # the parser died or ran out of its time or memory
    UNREADABLE = "Unreadable"  # the source lists it but will not hand it over
    CHANGED = "ChangedWhileReading"  # it changed under the reader; the next sync takes the new version
    EMBEDDING_REFUSED = "EmbeddingRefused"  # the model refuses this text
    EMBEDDING_FAILED = "EmbeddingFailed"  # the model did not answer, or answered nonsense, too often
    INTERNAL = "Internal"  # a fault of RagIndex; the log has the details

    @property
    def retryable(self) -> bool:
        """Whether trying the same bytes again can end differently."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {
        DocumentReason.UNREADABLE,
        DocumentReason.CHANGED,
        DocumentReason.EMBEDDING_FAILED,
        DocumentReason.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Code points ``start`` to ``end`` (exclusive) of a document's text."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, text: str) -> str:
        return text[self.start : self.end]

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Location:
    """Where a person finds a passage in the original. Pages (and slides) count from 1; absent parts do not apply."""

    page: int | None = None
    page_end: int | None = None
    sheet: str | None = None
    cells: str | None = None  # an A1 range: "A2:D40"
    start_ms: int | None = None
    end_ms: int | None = None
    speaker: str | None = None


#: Of a passage that needs no other place than its span: most have none.
NOWHERE = Location()


class BlockKind(StrEnum):
    HEADING = "Heading"
    PARAGRAPH = "Paragraph"
    LIST_ITEM = "ListItem"
    TABLE = "Table"  # one line of text a row; the first row is the header when ``header`` is set
    CODE = "Code"
    SPEECH = "Speech"  # one cue or turn of a transcript


@dataclass(frozen=True, slots=True)
class Block:
    """A run of the text with one role. Blocks are in order, do not overlap, and hold all that is not white space."""

    kind: BlockKind
    span: Span
    level: int = 0  # of a heading: 1 is the highest
    location: Location = field(default_factory=Location)
    header: Span | None = None  # of a table: its header row, repeated as context by the chunker


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser makes of a file.

    ``text`` holds no NUL, no lone surrogate, only ``\\n`` as line break, and is not all white space.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str | None = None
    language: str | None = None  # ISO 639-1, when the file says so itself
    media_type: str = "text/plain"
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    parser: str = ""  # name and version, such as "pdf/1": recorded with the document


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage as it is searched and quoted: always ``span.of(document.text) == text``.

    ``context`` (title, heading path, table header) is embedded before the text and never quoted.
    """

    ordinal: int  # position in its document, from 0
    text: str
    span: Span
    context: str = ""
    headings: tuple[str, ...] = ()
    location: Location = field(default_factory=Location)
    tokens: int = 0  # of ``embedded_text``, by the embedder's tokenizer
    searchable: bool = True  # False for an enclosing section of Hierarchical: returned, never searched
    level: int = 0  # Hierarchical: 1 section, 2 paragraph, 3 sentence; else 0
    parent: int | None = None  # Hierarchical: ordinal of the directly enclosing chunk
    section: int | None = None  # Hierarchical: ordinal of the section to return

    @property
    def embedded_text(self) -> str:
        return f"{self.context}\n{self.text}" if self.context else self.text
