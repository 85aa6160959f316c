"""From a parsed document to its chunks, by the strategy asked for."""

from __future__ import annotations

from ragindex_core.chunking.atoms import cut_to_fit
from ragindex_core.chunking.drafts import Draft, finished
from ragindex_core.chunking.hierarchical import hierarchical
from ragindex_core.chunking.packing import pack, windows
from ragindex_core.chunking.rules import ChunkingRules, ChunkingStrategy
from ragindex_core.chunking.sentences import sentences
from ragindex_core.chunking.structural import Cutter, flat, structural
from ragindex_core.document import Chunk, ParsedDocument
from ragindex_core.ports import Tokenizer


def chunk(document: ParsedDocument, how: ChunkingRules, tokenizer: Tokenizer) -> list[Chunk]:
    """The document's chunks in order.

    Each one's span gives exactly its text, which is never blank. No searchable chunk has more than ``how.max_tokens``
    tokens as it is embedded. All of the document that is not white space lies in some searchable chunk, but for
    headings under ``Hierarchical``, which stand in the context of what they head.
    """
    return finished(_drafts(Cutter(document, how, tokenizer)), document, tokenizer, how.max_tokens)


def _drafts(cutter: Cutter) -> list[Draft]:
    strategy = cutter.rules.strategy
    if strategy is ChunkingStrategy.STRUCTURAL:
        return structural(cutter)
    if strategy is ChunkingStrategy.HIERARCHICAL:
        return hierarchical(cutter)
    # The other strategies do not look at headings, so that only the title can be context.
    context, context_tokens = cutter.contexts.of()
    budget = cutter.budget(context_tokens)
    overlap = 0 if strategy is ChunkingStrategy.NONE else min(cutter.rules.overlap_tokens, budget // 2)
    text = cutter.document.text
    if strategy is ChunkingStrategy.FIXED:
        return flat(cutter, windows(text, cutter.tokens, budget, overlap), context)
    atoms = list(cut_to_fit(text, sentences(text), cutter.tokens, budget, repeatable=True))
    return flat(cutter, pack(atoms, cutter.tokens, budget, overlap), context)
