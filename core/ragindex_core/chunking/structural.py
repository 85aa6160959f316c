"""Cutting by structure: at sections first, then blocks, then sentences.

A table too long for one chunk is cut between rows, with its header row in the context of each part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ragindex_core.chunking.atoms import Atom, block_atoms
from ragindex_core.chunking.drafts import Draft
from ragindex_core.chunking.outline import Contexts, Section, sections
from ragindex_core.chunking.packing import pack
from ragindex_core.chunking.rules import ChunkingRules
from ragindex_core.chunking.tokens import TokenMap
from ragindex_core.document import Block, BlockKind, ParsedDocument, Span
from ragindex_core.ports import Tokenizer

#: Of the budget, what the headings may take, and what a table's header may take besides.
CONTEXT_SHARE = 4


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring blocks that are packed together; a long table is a run by itself."""

    blocks: tuple[Block, ...]
    header: Span | None = None


class Cutter:
    """What cutting one document needs at hand: its text tokenised once, its sections, and their contexts."""

    def __init__(self, document: ParsedDocument, rules: ChunkingRules, tokenizer: Tokenizer) -> None:
        self.document = document
        self.rules = rules
        self.tokens = TokenMap(document.text, tokenizer)
        self.sections = sections(document)
        self.contexts = Contexts(document.title, self.sections, tokenizer, rules.max_tokens // CONTEXT_SHARE)
        self._headers: dict[Span, tuple[str, int]] = {}

    def budget(self, context_tokens: int) -> int:
        """What is left for a chunk's text; the line break after the context may be a token."""
        return self.rules.max_tokens - context_tokens - (1 if context_tokens else 0)

    def header(self, header: Span | None) -> tuple[str, int]:
        """A table's header row as context, and its tokens."""
        if header is None:
            return "", 0
        if header not in self._headers:
            row = header.of(self.document.text).replace("\n", " ").strip()
            self._headers[header] = self.contexts.shortened(row, self.rules.max_tokens // CONTEXT_SHARE)
        return self._headers[header]

    def atoms(self, blocks: tuple[Block, ...], budget: int) -> list[Atom]:
        following = [*blocks[1:], None]
        return [
            atom
            for block, after in zip(blocks, following, strict=True)
            for atom in block_atoms(self.document, block, after, self.tokens, budget)
        ]

    def draft(self, span: Span, section: Section, run: Run) -> Draft:
        """A chunk of a run: its context is what of the headings and the table's header its own text does not show."""
        context, _ = self.contexts.of(section.path, within=span)
        if run.header is not None and run.header.start < span.start:
            context = "\n".join(part for part in (context, self.header(run.header)[0]) if part)
        return Draft(span, context, section.headings)


def structural(cutter: Cutter) -> list[Draft]:
    drafts: list[Draft] = []
    for section in cutter.sections:
        _, context_tokens = cutter.contexts.of(section.path)
        budget = cutter.budget(context_tokens)
        for run in runs(cutter, section.blocks, budget):
            _, header_tokens = cutter.header(run.header)
            room = budget - header_tokens - (1 if header_tokens else 0)
            spans = pack(cutter.atoms(run.blocks, room), cutter.tokens, room, _overlap(cutter.rules, room))
            drafts.extend(cutter.draft(span, section, run) for span in spans)
    return drafts


def runs(cutter: Cutter, blocks: tuple[Block, ...], budget: int) -> Iterator[Run]:
    """The blocks of a section, with tables that need to be cut set apart; a heading stays with what follows it."""
    waiting: list[Block] = []
    for block in blocks:
        if not _is_long_table(cutter, block, budget):
            waiting.append(block)
            continue
        if waiting and any(each.kind is not BlockKind.HEADING for each in waiting):
            yield Run(tuple(waiting))
            waiting = []
        yield Run((*waiting, block), block.header)
        waiting = []
    if waiting:
        yield Run(tuple(waiting))


def _is_long_table(cutter: Cutter, block: Block, budget: int) -> bool:
    return block.kind is BlockKind.TABLE and cutter.tokens.count(block.span.start, block.span.end) > budget


def _overlap(rules: ChunkingRules, budget: int) -> int:
    return min(rules.overlap_tokens, budget // 2)


def flat(cutter: Cutter, spans: list[Span], context: str) -> list[Draft]:
    """Chunks that do not follow the structure: their headings are those that hold where they begin."""
    return [Draft(span, context, path) for span, path in zip(spans, _paths(cutter.sections, spans), strict=True)]


def _paths(found: list[Section], spans: list[Span]) -> Iterator[tuple[str, ...]]:
    position = 0
    for span in spans:
        while position + 1 < len(found) and found[position + 1].blocks[0].span.start <= span.start:
            position += 1
        yield found[position].headings if found else ()
