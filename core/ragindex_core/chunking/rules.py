"""How a document is to be cut, as the chunker takes it: already checked, and clamped to the embedder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Below this no text can be cut sensibly: one emoji alone may be four tokens.
MIN_TOKENS = 8


class ChunkingStrategy(StrEnum):
    """By what a document is cut."""

    STRUCTURAL = "Structural"  # by headings, paragraphs, tables, cues; then sentences
    SENTENCE = "Sentence"  # sentences packed up to the limit, whatever the structure
    FIXED = "Fixed"  # windows of tokens
    HIERARCHICAL = "Hierarchical"  # finds sentences, returns the section around them
    NONE = "None"  # a document is one chunk, cut only where the embedder's limit asks for it


@dataclass(frozen=True, slots=True)
class ChunkingRules:
    """``max_tokens`` counts context and text together; ``overlap_tokens`` is what a chunk may repeat of its
    predecessor and never more than half of it."""

    strategy: ChunkingStrategy = ChunkingStrategy.STRUCTURAL
    max_tokens: int = 300
    overlap_tokens: int = 40

    def __post_init__(self) -> None:
        if self.max_tokens < MIN_TOKENS:
            raise ValueError(f"max_tokens must be at least {MIN_TOKENS}")
        if self.overlap_tokens < 0:
            raise ValueError("overlap_tokens must not be negative")


def clamped(max_tokens: int, embedder_limit: int) -> int:
    """The chunk size that an embedder can serve: what was asked for, or all that the embedder takes."""
    return max(MIN_TOKENS, min(max_tokens, embedder_limit))
