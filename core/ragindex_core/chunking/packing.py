"""Filling chunks with atoms, and windows with tokens. Both make one pass over the document."""

from __future__ import annotations

from collections.abc import Sequence

from ragindex_core.chunking.atoms import Atom, Seam, cut_before
from ragindex_core.chunking.sentences import trimmed
from ragindex_core.chunking.tokens import TokenMap
from ragindex_core.document import Span

_FILL = 0.6  # a chunk this full may end early, at a stronger seam
_TAIL = 4  # no last chunk below a quarter of the budget, where that can be avoided


def pack(atoms: Sequence[Atom], tokens: TokenMap, budget: int, overlap: int) -> list[Span]:
    """Spans of at most ``budget`` tokens over neighbouring atoms, each of which must fit by itself.

    Every atom is in a span; only whole sentences are in two.
    """
    spans: list[Span] = []
    first = fresh = 0  # where the chunk begins, and the first atom in it that no chunk holds yet
    while first < len(atoms):
        last = _last(atoms, first, fresh, tokens, budget)
        spans.append(Span(atoms[first].span.start, atoms[last].span.end))
        if last == len(atoms) - 1:
            break
        fresh = last + 1
        first = _with_overlap(atoms, first, fresh, tokens, budget, overlap)
    return spans


def _last(atoms: Sequence[Atom], first: int, fresh: int, tokens: TokenMap, budget: int) -> int:
    """The last atom of the chunk that begins with ``first``: at the strongest seam of a chunk that is full enough."""
    start = atoms[first].span.start
    left = tokens.count(start, atoms[-1].span.end)
    if left <= budget:
        return len(atoms) - 1
    limit = min(budget, max(budget // 2, left - budget // _TAIL))
    best, best_seam = fresh, Seam.WORD
    for position in range(fresh, len(atoms)):
        size = tokens.count(start, atoms[position].span.end)
        if size > limit and position > fresh:
            break
        if size < limit * _FILL or atoms[position].seam >= best_seam:
            best = position
            best_seam = atoms[position].seam if size >= limit * _FILL else Seam.WORD
    return best


def _with_overlap(atoms: Sequence[Atom], first: int, fresh: int, tokens: TokenMap, budget: int, overlap: int) -> int:
    """Where the next chunk begins so that it repeats at most ``overlap`` tokens in whole sentences."""
    begin = fresh
    while begin - 1 > first and atoms[begin - 1].repeatable:
        start = atoms[begin - 1].span.start
        if tokens.count(start, atoms[fresh - 1].span.end) > overlap:
            break
        if tokens.count(start, atoms[fresh].span.end) > budget:
            break
        begin -= 1
    return begin


def windows(text: str, tokens: TokenMap, budget: int, overlap: int) -> list[Span]:
    """Spans of ``budget`` tokens, each beginning ``overlap`` tokens before the last one's end, cut between words."""
    spans: list[Span] = []
    start, end, last = 0, 0, len(text.rstrip())
    while end < last:
        reach = tokens.reach(start, budget)
        cut = last if reach is None or reach >= last else cut_before(text, start, reach)
        if cut <= end and start < end:
            start = end  # the repeated part leaves no room for anything new
            continue
        end = cut
        if (span := trimmed(text, start, end)) is not None:
            spans.append(span)
        back = cut_before(text, start, max(tokens.back(end, overlap), start + 1)) if overlap else end
        start = back if start < back <= end else end
    return spans
