"""Small chunks to find, inside the sections to return.

A section (level 1) is returned and never searched. A paragraph (level 2) holds sentences (level 3), which are searched;
a paragraph that is one sentence, and code, which has none, are searched themselves. So each part of the text is found
by exactly one chunk, and search never returns a section because both a paragraph and its sentence matched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ragindex_core.chunking.atoms import Atom, Seam, cut_to_fit, lines
from ragindex_core.chunking.drafts import Draft
from ragindex_core.chunking.outline import Section
from ragindex_core.chunking.packing import pack
from ragindex_core.chunking.sentences import sentences, trimmed
from ragindex_core.chunking.structural import Cutter, Run
from ragindex_core.document import Block, BlockKind, Span

#: A section is not embedded; this bounds what search returns for one match.
SECTION_FACTOR = 4
#: "Yes." says nothing by itself: sentences shorter than this many tokens join their neighbours.
SHORT_SENTENCE = 8

_TOGETHER = frozenset({BlockKind.LIST_ITEM, BlockKind.SPEECH})


def hierarchical(cutter: Cutter) -> list[Draft]:
    drafts: list[Draft] = []
    limit = cutter.rules.max_tokens * SECTION_FACTOR
    for section in cutter.sections:
        for span in pack(cutter.atoms(section.blocks, limit), cutter.tokens, limit, 0):
            context, _ = cutter.contexts.of(section.path, within=span)
            top = Draft(span, context, section.headings, level=1, searchable=False)
            drafts.append(top)
            for run in _paragraphs(section, span):
                drafts.extend(_below(cutter, section, top, run))
    return drafts


def _paragraphs(section: Section, span: Span) -> Iterator[Run]:
    """The blocks of a section's part: lists and turns of speech together, all others one by one.

    Headings are in the context of what they head, and are chunks of their own only where they head nothing.
    """
    inside = [
        replace(block, span=Span(max(block.span.start, span.start), min(block.span.end, span.end)))
        for block in section.blocks
        if block.span.overlaps(span)
    ]
    body = [block for block in inside if block.kind is not BlockKind.HEADING] or inside
    group: list[Block] = []
    for block in body:
        if group and not (block.kind in _TOGETHER and block.kind is group[-1].kind):
            yield Run(tuple(group), group[0].header)
            group = []
        group.append(block)
    if group:
        yield Run(tuple(group), group[0].header)


def _below(cutter: Cutter, section: Section, top: Draft, run: Run) -> Iterator[Draft]:
    """A paragraph, or as many as its length asks for, each followed by its sentences."""
    _, context_tokens = cutter.contexts.of(section.path)
    _, header_tokens = cutter.header(run.header)
    budget = cutter.budget(context_tokens) - header_tokens - (1 if header_tokens else 0)
    for span in pack(cutter.atoms(run.blocks, budget), cutter.tokens, budget, 0):
        draft = replace(cutter.draft(span, section, run), parent=top, section=top)
        leaves = [] if run.blocks[0].kind is BlockKind.CODE else _leaves(cutter, run, span, budget)
        paragraph = replace(draft, level=2, searchable=len(leaves) < 2)
        yield paragraph
        if len(leaves) > 1:
            for leaf in leaves:
                yield replace(cutter.draft(leaf, section, run), level=3, parent=paragraph, section=top)


def _leaves(cutter: Cutter, run: Run, span: Span, budget: int) -> list[Span]:
    """The sentences of a paragraph, or the rows of a table, the short ones joined to what follows."""
    text = cutter.document.text
    parts: list[Span] = []
    for block in run.blocks:
        clipped = trimmed(text, max(block.span.start, span.start), min(block.span.end, span.end))
        if clipped is not None:
            is_table = block.kind is BlockKind.TABLE
            parts.extend(lines(text, clipped) if is_table else sentences(text, clipped.start, clipped.end))
    return _joined(cutter, list(cut_to_fit(text, parts, cutter.tokens, budget, repeatable=False)), budget)


def _joined(cutter: Cutter, atoms: list[Atom], budget: int) -> list[Span]:
    found: list[Span] = []
    for atom in atoms:
        if found and atom.seam is not Seam.WORD:
            before = found[-1]
            together = Span(before.start, atom.span.end)
            short = min(_size(cutter, before), _size(cutter, atom.span)) < SHORT_SENTENCE
            if short and _size(cutter, together) <= min(budget, 4 * SHORT_SENTENCE):
                found[-1] = together
                continue
        found.append(atom.span)
    return found


def _size(cutter: Cutter, span: Span) -> int:
    return cutter.tokens.count(span.start, span.end)
