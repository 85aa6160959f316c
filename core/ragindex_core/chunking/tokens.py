"""Counting tokens of any part of a document after tokenising it once, and estimating them without a tokenizer.

Real tokenizers are not additive: a text cut in two may have more tokens than the whole. Counts taken from
``TokenMap`` are therefore provisional; the chunker counts its finished chunks again.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from ragindex_core.document import Span
from ragindex_core.ports import Tokenizer, TokenSpan

# Some tokenizers call a word of any length one unknown token. Beyond this many characters it counts as several, so that
# encoded data in a document does not become a chunk of a megabyte.
_LONGEST_TOKEN = 32
_SEGMENT = 8_000  # characters tokenised as one: small enough for any tokenizer
_SEGMENTS_AT_ONCE = 16  # enough to batch well; the tokens of a long document as objects would fill the memory


class TokenMap:
    """Where the tokens of a text begin and end, so that the tokens of a part are two look-ups."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        segments = _segments(text)
        self._starts = array("i")
        self._ends = array("i")
        for first in range(0, len(segments), _SEGMENTS_AT_ONCE):
            part = segments[first : first + _SEGMENTS_AT_ONCE]
            for segment, found in zip(part, tokenizer.token_spans([s.of(text) for s in part]), strict=True):
                tokens = _bounded(found)
                self._starts.extend([segment.start + start for start, _ in tokens])
                self._ends.extend([segment.start + end for _, end in tokens])

    def count(self, start: int, end: int) -> int:
        """Tokens that lie in the part, wholly or in part."""
        return max(0, bisect_left(self._starts, end) - bisect_right(self._ends, start))

    def reach(self, start: int, tokens: int) -> int | None:
        """Where the part that begins at ``start`` and has this many tokens must end; None when the text ends first."""
        beyond = bisect_right(self._ends, start) + tokens
        return self._starts[beyond] if beyond < len(self._starts) else None

    def back(self, end: int, tokens: int) -> int:
        """Where the part that ends at ``end`` and has this many tokens begins."""
        first = bisect_left(self._starts, end) - tokens
        return self._starts[first] if first > 0 else 0


def _bounded(tokens: list[TokenSpan]) -> list[TokenSpan]:
    if all(end - start <= _LONGEST_TOKEN for start, end in tokens):
        return tokens
    return [
        (part, min(end, part + _LONGEST_TOKEN))
        for start, end in tokens
        for part in range(start, max(end, start + 1), _LONGEST_TOKEN)
    ]


def _segments(text: str) -> list[Span]:
    """The text in parts that meet at white space where there is any."""
    segments: list[Span] = []
    start = 0
    while start < len(text):
        end = min(len(text), start + _SEGMENT)
        if end < len(text):
            end = max(text.rfind("\n", start + 1, end), text.rfind(" ", start + 1, end)) + 1 or end
        segments.append(Span(start, end))
        start = end
    return segments


def counts(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """The number of tokens of each text, in one call of the tokenizer."""
    return tokenizer.token_counts(texts) if texts else []


# Latin words in threes, other alphabets in twos, all else (ideographs, kana, hangul, punctuation, emoji) one by one.
_ESTIMATE = re.compile(
    r"[A-Za-z\u00c0-\u024f]{1,3}"
    r"|[0-9]{1,3}"
    r"|[\u0370-\u058f\u0590-\u08ff\u0900-\u0dff\u1e00-\u1fff]{1,2}"
    r"|\S"
)


class EstimatingTokenizer:
    """Counts more tokens than a model's own tokenizer would, for models whose tokenizer is not published."""

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        return [[match.span() for match in _ESTIMATE.finditer(text)] for text in texts]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(_ESTIMATE.findall(text)) for text in texts]
