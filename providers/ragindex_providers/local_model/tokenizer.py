"""A model's own tokenizer, for counting tokens and for feeding the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as HuggingFaceTokenizer

from ragindex_core.document import Span
from ragindex_providers.text import encodable


class ModelTokenizer:
    """Safe to call from several threads: nothing is set after construction."""

    def __init__(self, content: bytes, max_tokens: int) -> None:
        # Two of them: the one that counts must see a text whole, the one that feeds the model must cut it.
        self._counting = HuggingFaceTokenizer.from_buffer(content)
        self._feeding = HuggingFaceTokenizer.from_buffer(content)
        for tokenizer in (self._counting, self._feeding):
            tokenizer.no_padding()
            tokenizer.no_truncation()
        self.special_tokens = self._counting.num_special_tokens_to_add(is_pair=False)
        self._feeding.enable_truncation(max_tokens)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        encodings = self._counting.encode_batch([encodable(t) for t in texts], add_special_tokens=False)
        return [[Span(start, end) for start, end in encoding.offsets] for encoding in encodings]

    def inputs(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The token ids of each text with its special tokens, no longer than the model takes; one row each."""
        encodings = self._feeding.encode_batch_fast([encodable(t) for t in texts])
        return [np.array([encoding.ids], dtype=np.int64) for encoding in encodings]
