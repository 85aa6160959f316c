"""Chunks before they have an ordinal: cut again where the whole proves longer than its parts, then numbered."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragindex_core.chunking.atoms import cut_before
from ragindex_core.chunking.locating import Locator
from ragindex_core.chunking.sentences import sentences, trimmed
from ragindex_core.chunking.tokens import counts
from ragindex_core.document import Chunk, ParsedDocument, Span
from ragindex_core.ports import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)  # a draft is itself, even where another has the same span
class Draft:
    span: Span
    context: str
    headings: tuple[str, ...]
    level: int = 0
    searchable: bool = True
    parent: Draft | None = None
    section: Draft | None = None

    def embedded_text(self, text: str) -> str:
        own = self.span.of(text)
        return f"{self.context}\n{own}" if self.context else own


def finished(drafts: list[Draft], document: ParsedDocument, tokenizer: Tokenizer, max_tokens: int) -> list[Chunk]:
    """The drafts as chunks in their order, none of the searchable ones above ``max_tokens`` as embedded."""
    fitting = _without_repeats(_fitted(drafts, document.text, tokenizer, max_tokens))
    ordinals = {id(draft): ordinal for ordinal, (draft, _) in enumerate(fitting)}
    locator = Locator(document)
    return [
        Chunk(
            ordinal=ordinal,
            text=draft.span.of(document.text),
            span=draft.span,
            context=draft.context,
            headings=draft.headings,
            location=locator.locate(draft.span),
            tokens=tokens,
            searchable=draft.searchable,
            level=draft.level,
            parent=None if draft.parent is None else ordinals[id(draft.parent)],
            section=None if draft.section is None else ordinals[id(draft.section)],
        )
        for ordinal, (draft, tokens) in enumerate(fitting)
    ]


def _fitted(drafts: list[Draft], text: str, tokenizer: Tokenizer, max_tokens: int) -> list[tuple[Draft, int]]:
    """Each draft with its true number of tokens, those that are too long cut until none is."""
    found: list[tuple[Draft, int]] = []
    for draft, tokens in zip(drafts, counts([each.embedded_text(text) for each in drafts], tokenizer), strict=True):
        if tokens <= max_tokens or not draft.searchable:
            found.append((draft, tokens))
        else:
            found.extend(_fitted(_smaller(draft, text), text, tokenizer, max_tokens))
    return found


def _without_repeats(found: list[tuple[Draft, int]]) -> list[tuple[Draft, int]]:
    """Without chunks that lie wholly in a neighbour, as an overlap may after a second cut. Levels lie in each other."""
    kept: list[tuple[Draft, int]] = []
    for draft, tokens in found:
        if kept and not draft.level:
            before = kept[-1][0].span
            if draft.span.end <= before.end:
                continue
            if draft.span.start <= before.start:
                kept.pop()
        kept.append((draft, tokens))
    return kept


def _smaller(draft: Draft, text: str) -> list[Draft]:
    """The draft in two, near its middle, at the end of a sentence if there is one; at last without its context."""
    start, end = draft.span.start, draft.span.end
    if end - start < 2:
        # A single character that is too long by itself can be shown, but not embedded.
        return [replace(draft, context="", searchable=bool(draft.context))]
    middle = (start + end) // 2
    ends = [each.end for each in sentences(text, start, end)][:-1]
    nearest = min(ends, key=lambda at: abs(at - middle), default=start)
    if abs(nearest - middle) > (end - start) // 4:
        nearest = min(cut_before(text, start, middle), end - 1)
    parts = [trimmed(text, start, nearest), trimmed(text, nearest, end)]
    return [replace(draft, span=part) for part in parts if part is not None]
