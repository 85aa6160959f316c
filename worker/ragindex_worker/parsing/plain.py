"""Plain text and source code: the text as it is, cut at blank lines. Headings are not guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragindex_core.document import Block, BlockKind, ParsedDocument, Span
from ragindex_worker.parsing.builder import About, finish, too_many_characters
from ragindex_worker.parsing.limits import ParseLimits

_BLANK_LINES = re.compile(r"\n\s*\n")


def parse_plain(text: str, limits: ParseLimits) -> ParsedDocument:
    return _parse(text, BlockKind.PARAGRAPH, About("text/plain", "plain/1"), limits)


def parse_code(text: str, limits: ParseLimits) -> ParsedDocument:
    return _parse(text, BlockKind.CODE, About("text/plain", "code/1"), limits)


def paragraphs(text: str) -> Iterator[Span]:
    """The spans between blank lines, without the white space around them; a first line keeps its indentation."""
    start = 0
    for gap in [*_BLANK_LINES.finditer(text), None]:
        end = gap.start() if gap else len(text)
        if text[start:end].strip():
            lead = len(text[start:end]) - len(text[start:end].lstrip())
            first_line = text.rfind("\n", start, start + lead) + 1
            yield Span(max(start, first_line), start + len(text[start:end].rstrip()))
        start = gap.end() if gap else end
        if gap:  # the pattern swallows the indentation of the line that follows
            start = text.rfind("\n", 0, start) + 1


def _parse(text: str, kind: BlockKind, about: About, limits: ParseLimits) -> ParsedDocument:
    if len(text) > limits.max_characters:
        raise too_many_characters(limits.max_characters)
    return finish(text, [Block(kind, span) for span in paragraphs(text)], about, None)
