"""Questions into vectors: remembered, and computed in threads of their own so that no passage stands before them."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragindex_api.metrics import Metrics
from ragindex_core.errors import InvalidInput, Misconfigured, Unavailable
from ragindex_core.ports import Embedder, InputType
from ragindex_providers.embedders import EmbeddingChoice

Vector = NDArray[np.float32]
OpenEmbedder = Callable[[EmbeddingChoice], Embedder]


@dataclass(frozen=True, slots=True)
class EmbeddedQueries:
    vectors: dict[str, Vector]  # by text
    tokens: int  # 0 when all were remembered


class QueryEmbedder:
    def __init__(self, open_embedder: OpenEmbedder, *, remembered: int, threads: int, metrics: Metrics) -> None:
        self._open_embedder = open_embedder
        self._embedders: dict[EmbeddingChoice, Embedder] = {}
        self._opening = threading.Lock()
        self._most = remembered
        self._remembered: OrderedDict[tuple[EmbeddingChoice, str], Vector] = OrderedDict()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="query-embedding")
        self._hits = metrics.query_cache.labels("hit")
        self._misses = metrics.query_cache.labels("miss")

    def remembered(self, choice: EmbeddingChoice, texts: Sequence[str]) -> dict[str, Vector] | None:
        """The vectors of all these texts, when all are known: for that nobody has to wait."""
        found = {}
        for text in texts:
            key = (choice, text)
            vector = self._remembered.get(key)
            if vector is None:
                return None
            self._remembered.move_to_end(key)
            found[text] = vector
        self._hits.inc(len(texts))
        return found

    async def embed(self, choice: EmbeddingChoice, texts: Sequence[str]) -> EmbeddedQueries:
        """A vector of each text. Raises like an embedder, and Unavailable for one that cannot be opened."""
        known = {text: vector for text in texts if (vector := self._remembered.get((choice, text))) is not None}
        missing = list(dict.fromkeys(text for text in texts if text not in known))
        self._hits.inc(len(texts) - len(missing))
        self._misses.inc(len(missing))
        tokens = 0
        if missing:
            vectors, tokens = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._compute, choice, missing
            )
            known.update(zip(missing, vectors, strict=True))
        for text, vector in known.items():
            self._remember((choice, text), vector)
        return EmbeddedQueries(known, tokens)

    def close(self) -> None:
        """The embedders themselves belong to whoever composed the service."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _remember(self, key: tuple[EmbeddingChoice, str], vector: Vector) -> None:
        self._remembered[key] = vector
        self._remembered.move_to_end(key)
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)

    def _compute(self, choice: EmbeddingChoice, texts: Sequence[str]) -> tuple[list[Vector], int]:
        embedder = self._embedder(choice)
        vectors: list[Vector] = []
        tokens = 0
        for start in range(0, len(texts), embedder.info.max_batch):
            batch = embedder.embed(texts[start : start + embedder.info.max_batch], InputType.QUERY)
            if batch.refused:
                raise InvalidInput.field(
                    "query", f"the embedding model refuses it: {next(iter(batch.refused.values()))}"
                )
            vectors.extend(batch.vectors)
            tokens += batch.tokens
        return vectors, tokens

    def _embedder(self, choice: EmbeddingChoice) -> Embedder:
        with self._opening:
            embedder = self._embedders.get(choice)
            if embedder is None:
                try:
                    embedder = self._embedders[choice] = self._open_embedder(choice)
                except (InvalidInput, Misconfigured) as error:
                    raise Unavailable(f"the embedding model {choice.model} cannot be opened", 30) from error
            return embedder
