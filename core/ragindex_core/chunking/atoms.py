"""The smallest parts a document is packed from, and how strongly it may be cut after each."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from ragindex_core.chunking.sentences import sentences, trimmed
from ragindex_core.chunking.tokens import TokenMap
from ragindex_core.document import Block, BlockKind, ParsedDocument, Span


class Seam(IntEnum):
    """What lies after an atom; where there is a choice, the strongest seam is cut."""

    WORD = 0  # inside a sentence that is longer than a chunk
    SENTENCE = 1
    BLOCK = 2
    BREAK = 3  # a page or a speaker ends


@dataclass(frozen=True, slots=True)
class Atom:
    """``repeatable`` atoms are whole sentences, which a following chunk may begin with again as its overlap."""

    span: Span
    seam: Seam
    repeatable: bool = False


def block_atoms(
    document: ParsedDocument, block: Block, following: Block | None, tokens: TokenMap, budget: int
) -> list[Atom]:
    """A block as atoms of at most ``budget`` tokens; tables and code stay whole where they fit."""
    whole = trimmed(document.text, block.span.start, block.span.end)
    if whole is None:
        return []
    last = _seam_after(block, following)
    budget = max(1, budget)
    if block.kind in (BlockKind.TABLE, BlockKind.CODE):
        if tokens.count(whole.start, whole.end) <= budget:
            return [Atom(whole, last)]
        parts, repeatable = lines(document.text, whole), False
    else:
        parts, repeatable = sentences(document.text, whole.start, whole.end), block.kind is not BlockKind.HEADING
    return _closed(list(cut_to_fit(document.text, parts, tokens, budget, repeatable=repeatable)), last)


def lines(text: str, span: Span) -> list[Span]:
    """The lines of a part of the text that hold more than white space: the rows of a table."""
    found: list[Span] = []
    start = span.start
    while start < span.end:
        end = text.find("\n", start, span.end)
        end = span.end if end < 0 else end
        if (line := trimmed(text, start, end)) is not None:
            found.append(line)
        start = end + 1
    return found


def cut_to_fit(text: str, parts: list[Span], tokens: TokenMap, budget: int, *, repeatable: bool) -> Iterator[Atom]:
    """The parts as atoms, those that are too long cut at words, or inside of them where nothing else is left."""
    for part in parts:
        if tokens.count(part.start, part.end) <= budget:
            yield Atom(part, Seam.SENTENCE, repeatable)
        else:
            pieces = list(pieces_of(text, part, tokens, budget))
            yield from (Atom(piece, Seam.WORD) for piece in pieces[:-1])
            yield from (Atom(piece, Seam.SENTENCE) for piece in pieces[-1:])


def pieces_of(text: str, part: Span, tokens: TokenMap, budget: int) -> Iterator[Span]:
    """A part that is too long, in pieces of at most ``budget`` tokens, as even in size as a cut at words allows."""
    start = part.start
    while start < part.end:
        left = tokens.count(start, part.end)
        share = -(-left // -(-left // budget)) if left > budget else budget
        reach = tokens.reach(start, share)
        end = part.end if reach is None or reach >= part.end or left <= budget else cut_before(text, start, reach)
        if (piece := trimmed(text, start, end)) is not None:
            yield piece
        start = end


def cut_before(text: str, start: int, limit: int) -> int:
    """A good place to cut between ``start`` (exclusive) and ``limit``: after white space, else between characters."""
    limit = max(limit, start + 1)
    earliest = start + max(1, (limit - start) // 2)
    for position in range(limit, earliest, -1):
        if text[position - 1].isspace():
            return position
    # Inside a word: not between a letter and the marks on it, nor within a joined emoji.
    for position in range(limit, max(start, limit - 32), -1):
        if position < len(text) and not _joins(text, position):
            return position
    return limit


def _joins(text: str, position: int) -> bool:
    after = text[position]
    return bool(unicodedata.combining(after)) or after in "\u200d\ufe0f" or text[position - 1] == "\u200d"


def _seam_after(block: Block, following: Block | None) -> Seam:
    if block.kind is BlockKind.HEADING:
        return Seam.WORD  # a heading stays with what it heads
    if following is None:
        return Seam.BREAK
    here, there = block.location, following.location
    turned = (there.page or 0) > (here.page_end or here.page or 0)
    return Seam.BREAK if turned or here.speaker != there.speaker else Seam.BLOCK


def _closed(atoms: list[Atom], seam: Seam) -> list[Atom]:
    if atoms:
        atoms[-1] = Atom(atoms[-1].span, seam, atoms[-1].repeatable)
    return atoms
