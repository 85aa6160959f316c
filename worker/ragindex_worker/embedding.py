"""Vectors for the passages of several documents at once: out of the cache, else from the model, within its budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragindex_core.errors import ProviderRefused, RagIndexError, Throttled, Unavailable
from ragindex_core.ports import Embedder, Embeddings, InputType
from ragindex_db import budgets, cache
from ragindex_db.engine import Connection, Database

#: Texts embedded between two looks at the clock: leases are renewed and stops noticed this often.
_SLICE = 128
_CHARACTERS_A_TOKEN = 3
_HARMLESS_TEXT = "ok"


class Stopped(Exception):
    """The worker is asked to end; what was embedded so far is in the cache."""


class EmbeddingFailed(RagIndexError):
    """The model gave no vectors that can be used: its own doing, or that of a text which it cannot stand."""


@dataclass(slots=True)
class Embedded:
    """Vectors by cache key; ``refused`` tells why the model would not embed a text."""

    vectors: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)
    refused: dict[bytes, str] = field(default_factory=dict)
    tokens: dict[bytes, int] = field(default_factory=dict)  # spent on it now; nothing for what was cached


class CachingEmbedder:
    """One model, with the database's cache before it and its shared budget around it."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        element_type: str,
        wait: Callable[[float], bool],
        *,
        cached: bool = True,
    ) -> None:
        """``wait`` sleeps so many seconds, and says True as soon as the worker should stop."""
        self._database = database
        self._embedder = embedder
        self._element_type = element_type
        self._wait = wait
        self._cached = cached
        #: Why the model refuses whatever it is asked, once it did: nothing but another configuration will help.
        self.unusable: str | None = None

    @property
    def embedder(self) -> Embedder:
        return self._embedder

    def key(self, text: str) -> bytes:
        info = self._embedder.info
        return cache.key(
            text,
            provider=info.provider,
            model=info.model,
            dimensions=info.dimensions,
            element_type=self._element_type,
            input_type=InputType.PASSAGE.value,
        )

    def embed(self, index_id: int, texts: Mapping[bytes, str], uses: Mapping[int, Collection[bytes]]) -> Embedded:
        """Every text once; ``uses`` tells which documents they are of.

        Raises Stopped, Throttled or EmbeddingFailed, and what the database raises; the cache keeps what was done.
        """
        result = Embedded()
        if self._cached and texts:
            result.vectors.update(self._database.run(self._look_up, index_id, list(texts), uses))
        missing = [(key, text) for key, text in texts.items() if key not in result.vectors]
        for start in range(0, len(missing), _SLICE):
            self._embed_slice(index_id, missing[start : start + _SLICE], uses, result)
        return result

    @staticmethod
    def _look_up(
        connection: Connection, index_id: int, keys: Sequence[bytes], uses: Mapping[int, Collection[bytes]]
    ) -> dict[bytes, NDArray[np.float32]]:
        found = cache.lookup(connection, index_id, keys)
        cache.note_uses(connection, index_id, {i: [k for k in ks if k in found] for i, ks in uses.items()})
        return found

    def _embed_slice(
        self,
        index_id: int,
        part: Sequence[tuple[bytes, str]],
        uses: Mapping[int, Collection[bytes]],
        result: Embedded,
    ) -> None:
        self._await_budget(sum(len(text) for _, text in part) // _CHARACTERS_A_TOKEN + len(part))
        embedded = self._ask([text for _, text in part])
        fresh = {
            key: embedded.vectors[position]
            for position, (key, _) in enumerate(part)
            if position not in embedded.refused
        }
        result.refused.update({part[position][0]: why for position, why in embedded.refused.items()})
        result.vectors.update(fresh)
        for key in fresh:
            result.tokens[key] = embedded.tokens // max(len(part), 1)
        if self._cached:
            self._database.run(cache.store, index_id, fresh, uses)

    def works(self) -> bool:
        """Whether the model embeds anything at all now. A word or two of it are not worth a look at the budget."""
        try:
            self._ask([_HARMLESS_TEXT])
        except EmbeddingFailed as error:
            if isinstance(error.__cause__, ProviderRefused):
                self.unusable = str(error)
            return False
        except Throttled:
            return False
        return True

    def _ask(self, texts: Sequence[str]) -> Embeddings:
        try:
            return self._embedder.embed(texts, InputType.PASSAGE)
        except Throttled as error:
            info, wait = self._embedder.info, error.retry_after_seconds or 5.0
            self._database.run(budgets.throttled, info.provider, info.model, wait)
            raise
        except (Unavailable, ProviderRefused) as error:
            raise EmbeddingFailed(str(error)) from error

    def _await_budget(self, tokens: int) -> None:
        info = self._embedder.info
        while True:
            if self._wait(0):
                raise Stopped
            seconds = self._database.run(budgets.take, info.provider, info.model, tokens)
            if seconds <= 0:
                return
            if self._wait(min(seconds, 5.0)):
                raise Stopped
