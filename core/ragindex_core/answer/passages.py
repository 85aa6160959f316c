"""What an answer is made from and what it points at, as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ragindex_core.document import Location, Span

_LINE_MARKS = re.compile(r"^(#{1,6} |[-*+] )")
_EMPHASIS = re.compile(r"\*\*|__|`")
_BRACKETED_NUMBERS = re.compile(r"[\[【](\s*[0-9][\s0-9,;，、–-]*)[\]】]")


class AnswerOutcome(StrEnum):
    """How a question ended."""

    ANSWERED = "Answered"  # a language model answered from the passages
    EXTRACTIVE = "Extractive"  # the passages' own sentences; no language model had a part in it
    NO_EVIDENCE = "NoEvidence"  # nothing relevant was found, so nothing is said
    BLOCKED = "Blocked"  # a guardrail stepped in


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A document in the version that was searched."""

    id: str
    uri: str
    title: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A search result as evidence: ``span.of(content) == text``. ``marker`` is the number an answer cites it by."""

    marker: int
    index: str
    chunk_id: str
    document: DocumentRef
    location: Location
    headings: tuple[str, ...]
    span: Span
    text: str
    cosine: float | None  # raw; None when the vector arm did not run
    score: float
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement of an answer is to be found: ``span.of(content) == quote``, inside the cited chunk."""

    marker: int
    index: str
    chunk_id: str
    document: DocumentRef
    location: Location
    span: Span
    quote: str


def cite(passage: Passage, part: Span) -> Citation:
    """The citation of a part of a passage; ``part`` counts from the passage's own beginning."""
    start = passage.span.start
    return Citation(
        marker=passage.marker,
        index=passage.index,
        chunk_id=passage.chunk_id,
        document=passage.document,
        location=passage.location,
        span=Span(start + part.start, start + part.end),
        quote=part.of(passage.text),
    )


def without_markers(text: str) -> str:
    """A document's text with its own numbers in brackets made unlike the markers of an answer."""
    return _BRACKETED_NUMBERS.sub(r"(\1)", text)


def as_prose(text: str) -> str:
    """A part of a document on one line, fit to stand in an answer or a title: without the marks of Markdown, which
    keeps its text as written, and with a colon where a heading leads on to its text."""
    lines = [line.strip() for line in without_markers(text).splitlines() if line.strip()]
    plain = [_EMPHASIS.sub("", _LINE_MARKS.sub("", line)) for line in lines]
    headed = [
        f"{words}:" if line.startswith("#") and position + 1 < len(lines) else words
        for position, (line, words) in enumerate(zip(lines, plain, strict=True))
    ]
    return " ".join(" ".join(headed).split())
