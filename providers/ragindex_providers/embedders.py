"""From what a RagIndex object says of its embedding to the embedder that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ragindex_core.errors import InvalidInput, Misconfigured
from ragindex_core.ports import Embedder
from ragindex_providers.settings import Endpoint, ProviderSettings


@dataclass(frozen=True, slots=True)
class EmbeddingChoice:
    provider: str  # Local | OpenAI
    model: str
    dimensions: int
    endpoint: str | None = None  # by name; None is the only one there is


def open_embedder(choice: EmbeddingChoice, settings: ProviderSettings) -> Embedder:
    """The embedder of this choice, ready to use. Raises InvalidInput for what the object's author can mend (its field
    is relative to ``spec.embedding``), Misconfigured for what only the platform's owner can."""
    opener = _OPENERS.get(choice.provider)
    if opener is None:
        raise InvalidInput.field("provider", f"{choice.provider!r} is not one of {', '.join(sorted(_OPENERS))}")
    return opener(choice, settings)


def _open_local(choice: EmbeddingChoice, settings: ProviderSettings) -> Embedder:
    from ragindex_providers.local_model import open_local_embedder

    return open_local_embedder(choice.model, choice.dimensions, settings)


def _open_openai(choice: EmbeddingChoice, settings: ProviderSettings) -> Embedder:
    from ragindex_providers.openai.embeddings import OpenAIEmbedder

    return OpenAIEmbedder(pick_endpoint(choice.endpoint, settings), choice.model, choice.dimensions)


def pick_endpoint(name: str | None, settings: ProviderSettings) -> Endpoint:
    """The endpoint of that name, or the only one there is."""
    endpoints = settings.endpoints
    if name is None:
        if len(endpoints) == 1:
            return next(iter(endpoints.values()))
        if not endpoints:
            raise Misconfigured("no OpenAI-compatible endpoint is configured")
        raise InvalidInput.field("endpoint", f"is needed: one of {', '.join(sorted(endpoints))}")
    if name not in endpoints:
        raise InvalidInput.field("endpoint", f"no endpoint is named {name!r}")
    return endpoints[name]


_OPENERS: Mapping[str, Callable[[EmbeddingChoice, ProviderSettings], Embedder]] = {
    "Local": _open_local,
    "OpenAI": _open_openai,
}
