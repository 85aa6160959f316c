"""A model's own tokenizer, for counting tokens and for feeding the model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as HuggingFaceTokenizer

from ragindex_core.ports import TokenSpan
from ragindex_providers.text import encodable

#: What every tokenizer of BERT's kind cuts at; other white space and control characters are left to it.
_WORD = re.compile("[^ \t\n\r]+")
#: Words whose tokens are remembered, and how long they may be. Beyond this a corpus consists of noise.
_MOST_WORDS = 200_000
_LONGEST_WORD = 32

_Tokens: TypeAlias = Sequence[TokenSpan]


class ModelTokenizer:
    """Safe to call from several threads.

    Where words are cut into tokens each by itself, as BERT's are, those of a word are remembered: most of a text is
    words that were seen before.
    """

    def __init__(self, content: bytes, max_tokens: int) -> None:
        # Two of them: the one that counts must see a text whole, the one that feeds the model must cut it.
        self._counting = HuggingFaceTokenizer.from_buffer(content)
        self._feeding = HuggingFaceTokenizer.from_buffer(content)
        for tokenizer in (self._counting, self._feeding):
            tokenizer.no_padding()
            tokenizer.no_truncation()
        self.special_tokens = self._counting.num_special_tokens_to_add(is_pair=False)
        self._feeding.enable_truncation(max_tokens)
        self._part = _WORD if _cuts_words(json.loads(content)) else re.compile("(?s).+")
        self._known: dict[str, _Tokens] = {}

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        texts = [encodable(text) for text in texts]
        tokens = self._tokens(set[str]().union(*map(self._part.findall, texts)))
        return [
            [
                (first + start, first + end)
                for found in self._part.finditer(text)
                for first in (found.start(),)
                for start, end in tokens[found[0]]
            ]
            for text in texts
        ]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        parts = [self._part.findall(encodable(text)) for text in texts]
        counts = {part: len(tokens) for part, tokens in self._tokens(set[str]().union(*parts)).items()}
        return [sum(map(counts.__getitem__, of_text)) for of_text in parts]

    def inputs(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The token ids of each text with its special tokens, no longer than the model takes; one row each."""
        encodings = self._feeding.encode_batch_fast([encodable(t) for t in texts])
        return [np.array([encoding.ids], dtype=np.int64) for encoding in encodings]

    def _tokens(self, parts: set[str]) -> dict[str, _Tokens]:
        known = self._known
        found = {part: known[part] for part in parts & known.keys()}
        new = list(parts - found.keys())
        if new:
            encodings = self._counting.encode_batch(new, add_special_tokens=False)
            fresh = {part: encoding.offsets for part, encoding in zip(new, encodings, strict=True)}
            if len(known) > _MOST_WORDS:
                self._known = known = {}  # another one: somebody may be reading the former
            known.update({part: tokens for part, tokens in fresh.items() if len(part) <= _LONGEST_WORD})
            found.update(fresh)
        return found


def _cuts_words(tokenizer: Mapping[str, Any]) -> bool:
    """Whether text that is cut at white space first has the same tokens."""
    pre_tokenizer, normalizer = tokenizer.get("pre_tokenizer") or {}, tokenizer.get("normalizer") or {}
    added = tokenizer.get("added_tokens") or ()
    return (
        pre_tokenizer.get("type") == "BertPreTokenizer"
        and normalizer.get("type") in (None, "BertNormalizer")
        and not any(token["lstrip"] or token["rstrip"] or _WORD.fullmatch(token["content"]) is None for token in added)
    )
