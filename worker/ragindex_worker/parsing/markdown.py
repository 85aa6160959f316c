"""Markdown as its author wrote it: the text stays untouched, so that offsets are those of the (normalised) source, and
blocks are laid over its lines. Marks such as ``#`` belong to their block; ``heading_text`` takes them off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ragindex_core.document import Block, BlockKind, MetadataValue, ParsedDocument, Span
from ragindex_worker.parsing.builder import About, finish, too_many_characters
from ragindex_worker.parsing.limits import ParseLimits

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_ATX_LINE = re.compile(r" {0,3}(#{1,6})(?:[ \t].*)?")  # the same lines, without looking for their words
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r"\s{0,12}(`{3,}|~{3,})[^`]*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+\S.*|[ \t]*)")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
_TABLE_RULE = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")  # without the blanks around it
_FRONT_MATTER_FIELD = re.compile(r"(title|author|date|lang|language|description)\s*:\s*(.+)", re.IGNORECASE)
_EMPHASIS = re.compile(r"(\*{1,3}|`+|\b_{1,3})(\S(?:.*?\S)?)\1")
_HEADING_LENGTH = 1000  # what is longer is looked at no further
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(slots=True)
class _Scanner:
    """Walks over the lines once; ``at`` is the line to look at next."""

    text: str
    lines: list[Span]
    at: int = 0
    blocks: list[Block] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)

    def line(self, number: int) -> str:
        return self.lines[number].of(self.text) if number < len(self.lines) else ""

    def words(self, number: int) -> Span:
        """A line without the white space around it."""
        line, start = self.line(number), self.lines[number].start
        return Span(start + len(line) - len(line.lstrip()), start + len(line.rstrip()))

    def take(self, kind: BlockKind, last: int, level: int = 0, header: Span | None = None) -> None:
        """Lines from ``at`` to ``last`` (inclusive) are one block; indentation stays where it means something."""
        start, end = self.lines[self.at].start, self.lines[last].end
        if kind not in (BlockKind.CODE, BlockKind.LIST_ITEM):
            start += len(self.text[start:end]) - len(self.text[start:end].lstrip())
        end = start + len(self.text[start:end].rstrip())
        if start < end:
            self.blocks.append(Block(kind, Span(start, end), level, header=header))
        self.at = last + 1


def parse(text: str, limits: ParseLimits) -> ParsedDocument:
    if len(text) > limits.max_characters:
        raise too_many_characters(limits.max_characters)
    scanner = _Scanner(text, _lines(text))
    fields = _front_matter(scanner)
    while scanner.at < len(scanner.lines):
        _next_block(scanner)
    metadata: dict[str, MetadataValue] = {k: fields[k] for k in ("author", "date", "description") if k in fields}
    title, language = fields.get("title"), fields.get("language", fields.get("lang"))
    first = min(scanner.headings, key=lambda heading: heading[0])[1] if scanner.headings else None
    about = About("text/markdown", "markdown/1", title=title, language=language, metadata=metadata)
    return finish(text, scanner.blocks, about, first)


def heading_text(line: str) -> str:
    """A heading without its marks, as a title or heading path shows it."""
    first = line.split("\n", 1)[0][:_HEADING_LENGTH]
    atx = _ATX.fullmatch(first)
    plain = _LINK.sub(r"\1", (atx[2] or "") if atx else first)
    return _EMPHASIS.sub(r"\2", plain).strip()


def _lines(text: str) -> list[Span]:
    spans, start = [], 0
    for line in text.split("\n"):
        spans.append(Span(start, start + len(line)))
        start += len(line) + 1
    return spans


def _front_matter(scanner: _Scanner) -> dict[str, str]:
    """The fields between the two ``---`` a file may begin with; they stay in the text, as a block of code."""
    if scanner.line(0).rstrip() != "---":
        return {}
    for last in range(1, min(len(scanner.lines), 200)):
        if scanner.line(last).rstrip() in ("---", "..."):
            fields = {}
            for number in range(1, last):
                match = _FRONT_MATTER_FIELD.fullmatch(scanner.line(number).strip())
                if match:
                    fields[match[1].lower()] = match[2].strip("\"' ")
            scanner.take(BlockKind.CODE, last)
            return fields
    return {}


def _next_block(scanner: _Scanner) -> None:
    line = scanner.line(scanner.at)
    if not line.strip():
        scanner.at += 1
    elif fence := _FENCE.fullmatch(line):
        scanner.take(BlockKind.CODE, _end_of_fence(scanner, fence[1]))
    elif atx := _ATX_LINE.fullmatch(line):
        _take_heading(scanner, len(atx[1]), scanner.at)
    elif _RULE.fullmatch(line):
        scanner.take(BlockKind.PARAGRAPH, scanner.at)
    elif "|" in line and _TABLE_RULE.fullmatch(scanner.line(scanner.at + 1).strip()):
        scanner.take(BlockKind.TABLE, _end_of_table(scanner), header=scanner.words(scanner.at))
    elif _ITEM.fullmatch(line):
        scanner.take(BlockKind.LIST_ITEM, _end_of_text(scanner))
    elif line.startswith(("    ", "\t")):
        scanner.take(BlockKind.CODE, _end_of_indented(scanner))
    else:
        _take_paragraph(scanner)


def _take_heading(scanner: _Scanner, level: int, last: int) -> None:
    title = heading_text(scanner.line(scanner.at))
    if title:
        scanner.headings.append((level, title))
    scanner.take(BlockKind.HEADING if title else BlockKind.PARAGRAPH, last, level if title else 0)


def _take_paragraph(scanner: _Scanner) -> None:
    last = _end_of_text(scanner)
    underline = _SETEXT.fullmatch(scanner.line(last + 1)) if last + 1 < len(scanner.lines) else None
    if underline and last == scanner.at:
        _take_heading(scanner, 1 if underline[1][0] == "=" else 2, last + 1)
    else:
        scanner.take(BlockKind.PARAGRAPH, last)


def _end_of_text(scanner: _Scanner) -> int:
    """The last line before one that is blank or begins something else."""
    last = scanner.at
    while last + 1 < len(scanner.lines):
        following = scanner.line(last + 1)
        if (
            not following.strip()
            or _ATX_LINE.fullmatch(following)
            or _FENCE.fullmatch(following)
            or _ITEM.fullmatch(following)
            or _SETEXT.fullmatch(following)
            or _RULE.fullmatch(following)
        ):
            break
        last += 1
    return last


def _end_of_fence(scanner: _Scanner, fence: str) -> int:
    closing = re.compile(r"\s*" + re.escape(fence[0]) + "{" + str(len(fence)) + r",}\s*")
    for number in range(scanner.at + 1, len(scanner.lines)):
        if closing.fullmatch(scanner.line(number)):
            return number
    return len(scanner.lines) - 1


def _end_of_table(scanner: _Scanner) -> int:
    last = scanner.at + 1
    while "|" in scanner.line(last + 1) and scanner.line(last + 1).strip():
        last += 1
    return last


def _end_of_indented(scanner: _Scanner) -> int:
    last = number = scanner.at
    while number < len(scanner.lines):
        line = scanner.line(number)
        if line.startswith(("    ", "\t")) and line.strip():
            last = number
        elif line.strip():
            break
        number += 1
    return last
