"""A document's sections, and the context that tells an embedder where in the document a chunk stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragindex_core.chunking.tokens import counts
from ragindex_core.document import Block, BlockKind, ParsedDocument, Span
from ragindex_core.ports import Tokenizer

_SEPARATOR = " > "
_HEADING_CHARACTERS = 300  # a "heading" of a thousand words is a paragraph in bold
#: What makes a heading one in Markdown, which keeps its text as written; a heading path reads better without.
_MARKS = re.compile(r"^#{1,6} | #+$| (=+|-{3,})$|\*\*")
_DEEPEST = 9  # no format has more levels; headings below it follow each other


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that is in force: its text on one line, and where it stands."""

    text: str
    span: Span
    level: int


@dataclass(frozen=True, slots=True)
class Section:
    """Neighbouring blocks under the same headings. Headings with nothing of their own below them belong to the
    section that follows, so that none is a chunk by itself."""

    path: tuple[Heading, ...]
    blocks: tuple[Block, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(heading.text for heading in self.path)


def sections(document: ParsedDocument) -> list[Section]:
    """The document from heading to heading; a spreadsheet's sheets are sections, too."""
    found: list[Section] = []
    path: list[Heading] = []
    blocks: list[Block] = []
    has_body = False
    for block in document.blocks:
        begins = block.kind is BlockKind.HEADING or (blocks and blocks[-1].location.sheet != block.location.sheet)
        if begins and has_body:
            found.append(Section(tuple(path), tuple(blocks)))
            blocks, has_body = [], False
        if block.kind is BlockKind.HEADING:
            level = min(max(block.level, 1), _DEEPEST)
            path = [heading for heading in path if heading.level < level]
            text = _MARKS.sub("", one_line(block.span.of(document.text))[:_HEADING_CHARACTERS])
            if text:
                path.append(Heading(text, block.span, level))
        else:
            has_body = True
        blocks.append(block)
    if blocks:
        found.append(Section(tuple(path), tuple(blocks)))
    return found


def one_line(text: str) -> str:
    return " ".join(text.split())


class Contexts:
    """Makes contexts of titles and headings that keep to a number of tokens. Tokenises each part once, in one batch."""

    def __init__(self, title: str | None, found: Sequence[Section], tokenizer: Tokenizer, limit: int) -> None:
        self._title = one_line(title or "")[:_HEADING_CHARACTERS]
        self._limit = limit
        parts = list(dict.fromkeys([self._title, *(h.text for section in found for h in section.path), _SEPARATOR]))
        self._tokens = dict(zip(parts, counts(parts, tokenizer), strict=True))
        self._tokenizer = tokenizer

    def of(self, path: Sequence[Heading] = (), within: Span | None = None) -> tuple[str, int]:
        """Title and headings, without those that the chunk's own text shows, and their tokens."""
        in_text = {h for h in path if within is not None and within.start <= h.span.start < within.end}
        above = [h.text for h in path if h not in in_text]
        title = "" if self._title.casefold() in {h.text.casefold() for h in in_text} else self._title
        parts = _distinct([title, *above])
        # The title and the innermost heading say most: what lies between gives way first.
        while len(parts) > 1 and self._size(parts) > self._limit:
            del parts[1 if len(parts) > 2 else 0]
        if not parts:
            return "", 0
        if self._size(parts) > self._limit:
            return self.shortened(parts[0], self._limit)
        return _SEPARATOR.join(parts), self._size(parts)

    def shortened(self, text: str, limit: int) -> tuple[str, int]:
        """As much of the text's beginning as has at most ``limit`` tokens."""
        spans = self._tokenizer.token_spans([text])[0]
        if len(spans) <= limit:
            return text, len(spans)
        # Where the first token left out begins: several tokens may share one character.
        return text[: spans[limit][0]].rstrip(), limit

    def _size(self, parts: Sequence[str]) -> int:
        return sum(self._tokens[part] for part in parts) + self._tokens[_SEPARATOR] * (len(parts) - 1)


def _distinct(parts: Sequence[str]) -> list[str]:
    """The parts that say something new: a title is often the first heading, too."""
    return list({part.casefold(): part for part in reversed(parts) if part}.values())[::-1]
