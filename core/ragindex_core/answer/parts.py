"""What of a passage can be quoted by itself: sentences, items of lists, rows of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum

from ragindex_core.answer.passages import Passage, as_prose
from ragindex_core.answer.tables import paired, tables
from ragindex_core.chunking.atoms import cut_before
from ragindex_core.chunking.sentences import sentences, trimmed
from ragindex_core.document import Span

#: A quote is to be read at a glance: sentences beyond this are cut between words.
QUOTE_CHARACTERS = 400

_UNDERLINED = re.compile(r"^[^\n]*\S[^\n]*\n[ \t]*(?:={3,}|-{3,})[ \t]*$", re.MULTILINE)
_UNDERLINE = re.compile(r"\n[ \t]*[=-]+[ \t]*$")
_BULLET = re.compile(r"(?:[-*•·–+]|\(?\d{1,3}[.)])\s")
_NUMBERED = re.compile(r"\(?\d{1,3}[.)]\s")
_LEADS_ON = re.compile(r"[:：][*_\s]*$")
_ENDS = re.compile(r"[.:;,!?。！？；：]$")


class Kind(Enum):
    SENTENCE = 1
    ITEM = 2
    ROW = 3


@dataclass(frozen=True, slots=True)
class Part:
    """``group`` is the number of its list or table in the passage; ``heading`` an underlined one in the text above."""

    span: Span
    kind: Kind = Kind.SENTENCE
    group: int = -1
    heading: str = ""
    header: Span | None = None


def quotable(passage: Passage) -> list[Part]:
    """The parts of a passage, each short enough to be quoted; a heading or the header of a table says nothing by
    itself and is left out, unless there is nothing else."""
    text = passage.text
    titles = {as_prose(title) for title in (*passage.headings, passage.document.title or "")}
    parts: list[Part] = []
    groups = 0
    for piece in _pieces(text):
        if isinstance(piece, list):
            groups += 1
            parts += [replace(row, span=part, group=groups) for row in piece for part in _cut(text, row.span)]
            continue
        heading, span = piece
        listing = False
        end_before = span.start
        for sentence in sentences(text, span.start, span.end):
            body = _without_headings(text, sentence, titles)
            if body is None:
                listing = False
                continue
            bullet = _BULLET.match(text, body.start) is not None
            if bullet and not listing:
                groups += 1
            listing = bullet or (listing and text.count("\n", end_before, body.start) < 2)
            kind, group = (Kind.ITEM, groups) if listing else (Kind.SENTENCE, -1)
            parts += [Part(each, kind, group, heading) for each in _cut(text, body)]
            end_before = body.end
    return parts or [Part(each) for sentence in sentences(text) for each in _cut(text, sentence)]


def leads_on(text: str) -> bool:
    """Whether a sentence introduces what follows it."""
    return _LEADS_ON.search(text) is not None


def is_step(text: str) -> bool:
    return _NUMBERED.match(text) is not None


def said(parts: Sequence[Part], text: str) -> str:
    """Parts as the prose of an answer: cells with the names of their columns, items with something between them."""
    words = ""
    for part in parts:
        plain = part.span.of(text)
        header = part.header.of(text) if part.header else None
        own = paired(header, plain) if part.kind is Kind.ROW else plain
        if words and part.kind is not Kind.SENTENCE and not _ENDS.search(words):
            words += ";"
        words += (" " if words else "") + as_prose(own)
    return words


def _pieces(text: str) -> Iterator[tuple[str, Span] | list[Part]]:
    """The text between tables and underlined headings, each with the heading above it, and the rows of the tables."""
    marks: list[tuple[Span, list[Part] | str]] = [
        (table.span, [Part(row, Kind.ROW, header=table.header) for row in table.rows]) for table in tables(text)
    ]
    marks += [
        (Span(*match.span()), as_prose(_UNDERLINE.sub("", match[0])))
        for match in _UNDERLINED.finditer(text)
        if "|" not in match[0]
    ]
    heading, at = "", 0
    for span, mark in sorted(marks, key=lambda each: each[0].start):
        if at < span.start:
            yield heading, Span(at, span.start)
        if isinstance(mark, str):
            heading = mark
        else:
            yield [Part(row.span, Kind.ROW, heading=heading, header=row.header) for row in mark]
        at = max(at, span.end)
    if at < len(text):
        yield heading, Span(at, len(text))


def _without_headings(text: str, sentence: Span, titles: AbstractSet[str]) -> Span | None:
    """What follows the heading lines that a sentence begins with, if anything does."""
    start = sentence.start
    for line in text[sentence.start : sentence.end].splitlines(keepends=True):
        if line.strip() and as_prose(line) not in titles:
            return Span(start, sentence.end)
        start += len(line)
    return None


def _cut(text: str, sentence: Span) -> list[Span]:
    parts: list[Span] = []
    start = sentence.start
    while sentence.end - start > QUOTE_CHARACTERS:
        end = cut_before(text, start, start + QUOTE_CHARACTERS)
        if (part := trimmed(text, start, end)) is not None:
            parts.append(part)
        start = end
    if (part := trimmed(text, start, sentence.end)) is not None:
        parts.append(part)
    return parts
