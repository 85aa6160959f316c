"""Embeddings from an OpenAI-compatible service.

What comes back is believed only after it was counted, measured and found finite: a vector that is wrong once stored
stays wrong. Vectors are brought to length 1, which not every service does.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import httpx2
import numpy as np

from ragindex_core.chunking.tokens import EstimatingTokenizer
from ragindex_core.errors import ProviderRefused, Unavailable
from ragindex_core.ports import EmbedderInfo, Embeddings, InputType, Tokenizer, Vectors
from ragindex_providers.openai.http import Refusal, client_options, transport_failure
from ragindex_providers.retry import Retrier, RetryPolicy
from ragindex_providers.settings import Endpoint
from ragindex_providers.text import encodable

_MAX_INPUT_TOKENS = {"text-embedding-3-small": 8191, "text-embedding-3-large": 8191, "text-embedding-ada-002": 8191}
_CAUTIOUS_INPUT_TOKENS = 512  # what most small models take
_MAX_ANSWER_BYTES = 128 * 1024 * 1024
_HARMLESS_TEXT = "ok"


class OpenAIEmbedder:
    """Safe to call from several threads. ``close`` also ends the waiting between attempts."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        dimensions: int,
        *,
        retrier: Retrier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._who = f"endpoint {endpoint.name}, model {model}"
        self._client = httpx2.Client(**client_options(endpoint))
        self._total_seconds = endpoint.timeouts.total_seconds
        self._retrier = retrier or Retrier(RetryPolicy())
        self._clock = clock
        self._tokenizer = EstimatingTokenizer()
        self._info = EmbedderInfo(
            provider="OpenAI",
            model=model,
            dimensions=dimensions,
            max_input_tokens=endpoint.max_input_tokens or _MAX_INPUT_TOKENS.get(model, _CAUTIOUS_INPUT_TOKENS),
            max_batch=endpoint.max_batch,
            concurrency=endpoint.concurrency,
            normalised=True,
        )
        # Learned from the service; several threads at worst learn the same thing twice.
        self._send_dimensions = False  # many services refuse the parameter, so only where the default differs
        self._has_worked = False

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings:  # noqa: ARG002 - one kind of vector
        vectors = np.zeros((len(texts), self._info.dimensions), dtype=np.float32)
        refused: dict[int, str] = {}
        tokens = 0
        waiting = [
            range(i, min(i + self._info.max_batch, len(texts))) for i in range(0, len(texts), self._info.max_batch)
        ]
        waiting.reverse()
        while waiting:
            rows = waiting.pop()
            answer = self._retrier.call(partial(self._request, [encodable(texts[row]) for row in rows]))
            if isinstance(answer, Refusal):
                if len(rows) == 1:
                    refused[rows[0]] = _reason(answer)
                else:
                    # One of them is to blame: halve until it stands alone.
                    middle = len(rows) // 2
                    waiting += [rows[middle:], rows[:middle]]
                continue
            part, used = answer
            vectors[rows.start : rows.stop] = part
            tokens += used
        return Embeddings(vectors=vectors, tokens=tokens, refused=refused)

    def close(self) -> None:
        self._retrier.close()
        self._client.close()

    def _request(self, texts: Sequence[str]) -> tuple[Vectors, int] | Refusal:
        """Vectors and tokens; or the service's refusal of one of these texts."""
        with_dimensions = self._send_dimensions  # another thread may learn meanwhile
        answer = self._post(texts, with_dimensions=with_dimensions)
        if isinstance(answer, Refusal):
            if answer.status not in (400, 413, 422):
                raise answer.error(self._who)
            if answer.status != 413 and not self._has_worked:
                self._check_that_anything_works(answer)
            return answer
        vectors = self._vectors(answer, len(texts))
        if vectors.shape[1] != self._info.dimensions:
            if not with_dimensions:
                self._send_dimensions = True
                return self._request(texts)
            raise ProviderRefused(
                f"{self._who} gives {vectors.shape[1]} dimensions, the index wants {self._info.dimensions}"
            )
        self._has_worked = True
        return _unit_length(vectors, self._who), self._tokens(answer, texts)

    def _check_that_anything_works(self, refusal: Refusal) -> None:
        """Whether the fault lies with the texts at all: a service that refuses everything is wrongly configured."""
        if isinstance(self._post([_HARMLESS_TEXT], with_dimensions=self._send_dimensions), Refusal):
            raise refusal.error(self._who)
        self._has_worked = True

    def _post(self, texts: Sequence[str], *, with_dimensions: bool) -> Any:
        payload: dict[str, Any] = {"model": self._info.model, "input": list(texts), "encoding_format": "base64"}
        if with_dimensions:
            payload["dimensions"] = self._info.dimensions
        deadline = self._clock() + self._total_seconds
        body = bytearray()
        try:
            with self._client.stream("POST", "embeddings", json=payload) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > _MAX_ANSWER_BYTES or self._clock() > deadline:
                        raise Unavailable(f"{self._who} answers without end")
        except httpx2.HTTPError as error:
            raise transport_failure(self._who, error) from error
        except RuntimeError as error:  # how the client says that it has been closed
            raise Unavailable(f"{self._who}: the embedder is closed") from error
        if response.status_code != 200:
            return Refusal(response.status_code, response.headers, bytes(body))
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self._who} answered with something that is not JSON") from error

    def _vectors(self, answer: Any, wanted: int) -> Vectors:
        """One row a text, in the order asked. All rows are equally long."""
        try:
            items = answer["data"]
            if len(items) != wanted or sorted(item.get("index", i) for i, item in enumerate(items)) != [*range(wanted)]:
                raise Unavailable(f"{self._who} answered {len(items)} vectors to {wanted} texts")
            rows: list[Vectors] = [np.zeros(0, dtype=np.float32)] * wanted
            for position, item in enumerate(items):
                rows[item.get("index", position)] = _decode(item["embedding"])
            return np.stack(rows)
        except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
            raise Unavailable(f"{self._who} answered with something that is not a list of vectors") from error

    def _tokens(self, answer: Any, texts: Sequence[str]) -> int:
        usage = answer.get("usage")
        reported = usage.get("total_tokens", usage.get("prompt_tokens")) if isinstance(usage, dict) else None
        if isinstance(reported, int) and reported > 0:
            return reported
        return sum(self._tokenizer.token_counts(texts))


def _decode(embedding: Any) -> Vectors:
    """Little-endian floats in base64, or a list of numbers from a service that ignores the wish for them."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4").astype(np.float32)
    vector = np.array(embedding, dtype=np.float32)
    if vector.ndim != 1:
        raise ValueError("not a list of numbers")
    return vector


def _unit_length(vectors: Vectors, who: str) -> Vectors:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise Unavailable(f"{who} answered with a vector that has no direction")
    unit: Vectors = (vectors / lengths).astype(np.float32)
    return unit


def _reason(refusal: Refusal) -> str:
    if refusal.status == 413:
        return "the text is longer than the model takes"
    return f"the model refuses this text: {refusal.status}" + (f" {refusal.codes}" if refusal.codes else "")
