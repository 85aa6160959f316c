"""What the core and the deployables ask of the outside world. Adapters in ``ragindex_providers`` keep these promises.

Every adapter, and every fake of ``ragindex_core.testing``, passes the contract suite of its port.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragindex_core.document import MetadataValue

Vectors: TypeAlias = NDArray[np.float32]
#: Where a token begins and ends, in code points. Documents have millions of them: a pair is all they are.
TokenSpan: TypeAlias = tuple[int, int]


class Tokenizer(Protocol):
    """Cuts text the way a model does (or a conservative estimate of it)."""

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        """For each text, its tokens in order. Special tokens are not counted."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """The number of those tokens, which may be cheaper to tell."""


class InputType(StrEnum):
    """Some models embed a question differently from a passage."""

    PASSAGE = "Passage"
    QUERY = "Query"


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What a revision records of its embedder, and what callers need to batch for it."""

    provider: str
    model: str
    dimensions: int
    max_input_tokens: int  # of one text, special tokens taken off
    max_batch: int  # texts in one call
    concurrency: int = 1  # calls under way at once that pay off
    normalised: bool = True


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One row of ``vectors`` a text, in the order given. ``refused`` maps the positions of texts the model will not
    embed to its reason; their rows are zero."""

    vectors: Vectors
    tokens: int
    refused: Mapping[int, str] = field(default_factory=dict)


class Embedder(Protocol):
    """Raises Throttled, Unavailable (after its own bounded retries) or ProviderRefused; never returns NaN or a wrong
    number of rows or dimensions. Safe to call from several threads."""

    @property
    def info(self) -> EmbedderInfo: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    system: str
    user: str
    max_tokens: int
    temperature: float | None = None  # sent only when set


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class GenerationDone:
    """Always the last event of a generation that did not raise."""

    model: str
    input_tokens: int
    output_tokens: int
    stop_reason: str


GenerationEvent: TypeAlias = TextDelta | GenerationDone


class Generator(Protocol):
    """One route to a language model. Raises like an Embedder; closing the iterator cancels the call."""

    @property
    def name(self) -> str:
        """Provider and model, as shown in answers and metrics."""

    def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object of a source's listing. ``version`` is the source's own cheap token of change (an ETag; time, size and
    inode): equal tokens mean equal bytes, different tokens say nothing."""

    key: str  # path relative to the source, with "/" between parts
    uri: str  # ends in ``key``
    version: str
    size: int
    modified: datetime | None = None
    sidecar_version: str | None = None  # of <key>.metadata.json, when there is one
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)  # what the listing itself tells


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read: the version token of the bytes that were handed over, and their SHA-256 in hex."""

    version: str
    sha256: str
    size: int


class Source(Protocol):
    """Where documents come from. ``list`` either yields everything there is or raises Unavailable: a partial listing
    must never look like a complete one. Sidecar files are not listed as objects of their own."""

    def list(self) -> Iterator[SourceObject]: ...

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        """Write the object's bytes to ``into``. Raises DocumentRejected (Unreadable, TooLarge, ChangedWhileReading)
        or Unavailable."""

    def sidecar(self, key: str) -> Mapping[str, object]:
        """The decoded JSON object beside ``key``. Raises DocumentRejected(Corrupt) when it is not one."""
