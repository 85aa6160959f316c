"""Cutting documents into chunks that can be embedded, found and quoted."""

from ragindex_core.chunking.chunker import chunk
from ragindex_core.chunking.rules import MIN_TOKENS, ChunkingRules, ChunkingStrategy, clamped
from ragindex_core.chunking.sentences import sentences
from ragindex_core.chunking.tokens import EstimatingTokenizer

__all__ = [
    "MIN_TOKENS",
    "ChunkingRules",
    "ChunkingStrategy",
    "EstimatingTokenizer",
    "chunk",
    "clamped",
    "sentences",
]
