"""A tokenizer that needs no model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragindex_core.ports import TokenSpan


class FakeTokenizer:
    """Words in pieces of at most ``piece`` characters, anything else one by one: like WordPiece, but predictable."""

    def __init__(self, piece: int = 6) -> None:
        self._token = re.compile(rf"\w{{1,{piece}}}|[^\w\s]")

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        return [[match.span() for match in self._token.finditer(text)] for text in texts]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(self._token.findall(text)) for text in texts]
