"""An embedder without a model: texts that share words lie near each other."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ragindex_core.chunking.tokens import EstimatingTokenizer
from ragindex_core.errors import Unavailable
from ragindex_core.ports import EmbedderInfo, Embeddings, InputType, Tokenizer, Vectors

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Each word is a direction of its own and a text the sum of its words', so cosine grows with the words in common.

    ``failures`` are taken one a call: an exception is raised, None lets the call succeed. ``refuses`` gives a reason
    for texts that this model will not embed; one that it ``stumbles`` over fails its whole call. ``calls`` keeps what
    was asked for.
    """

    def __init__(
        self,
        dimensions: int = 64,
        *,
        model: str = "words",
        max_input_tokens: int = 256,
        max_batch: int = 16,
        tokenizer: Tokenizer | None = None,
        failures: Iterable[Exception | None] = (),
        refuses: Callable[[str], str | None] = lambda _text: None,
        stumbles: Callable[[str], bool] = lambda _text: False,
    ) -> None:
        self._info = EmbedderInfo("Fake", model, dimensions, max_input_tokens, max_batch)
        self._tokenizer = tokenizer or EstimatingTokenizer()
        self._refuses = refuses
        self.stumbles = stumbles
        self._directions: dict[str, Vectors] = {}
        self.failures = deque(failures)
        self.calls: list[tuple[tuple[str, ...], InputType]] = []
        self.closed = False

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings:
        if self.closed:
            raise Unavailable("the embedder is closed")
        self.calls.append((tuple(texts), input_type))
        if self.failures and (failure := self.failures.popleft()) is not None:
            raise failure
        if any(map(self.stumbles, texts)):
            raise Unavailable("the embedder stumbles")
        refused = {i: reason for i, text in enumerate(texts) if (reason := self._refuses(text))}
        vectors = np.zeros((len(texts), self._info.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            if row not in refused:
                vectors[row] = self._vector(text)
        return Embeddings(vectors, sum(self._tokenizer.token_counts(texts)), refused)

    def close(self) -> None:
        self.closed = True

    def _vector(self, text: str) -> Vectors:
        words = _WORD.findall(text.casefold()) or [""]
        total: Vectors = np.sum([self._direction(word) for word in words], axis=0)
        return total / np.linalg.norm(total)

    def _direction(self, word: str) -> Vectors:
        direction = self._directions.get(word)
        if direction is None:
            seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8])
            direction = np.random.default_rng(seed).standard_normal(self._info.dimensions).astype(np.float32)
            direction /= np.linalg.norm(direction)
            self._directions[word] = direction
        return direction
