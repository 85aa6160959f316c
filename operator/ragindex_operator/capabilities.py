"""What this installation can carry out, as data; what an object asks for beyond that is refused in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ragindex_core.errors import FieldProblem
from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import EmbeddingProvider, GenerationProvider, RagIndexSpec, RerankProvider

_NOT_HERE = "not available in this installation"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """By default those of one machine. Sources are named as the spec names them."""

    embedding: frozenset[EmbeddingProvider] = frozenset({EmbeddingProvider.LOCAL, EmbeddingProvider.OPENAI})
    generation: frozenset[GenerationProvider] = frozenset({GenerationProvider.OPENAI})
    reranking: frozenset[RerankProvider] = field(default_factory=frozenset)
    sources: frozenset[str] = frozenset({"directory", "uploads"})
    guardrails: bool = False
    databases: frozenset[str] | None = None  # None: whatever it is called, it is the one there is


def refusals(spec: RagIndexSpec, capabilities: Capabilities) -> tuple[FieldProblem, ...]:
    """Every field that asks for something else; empty when all can be done."""
    return tuple(_refusals(spec, capabilities))


def _refusals(spec: RagIndexSpec, can: Capabilities) -> Iterator[FieldProblem]:
    if can.databases is not None and spec.database_ref.name not in can.databases:
        yield _refusal("spec.databaseRef.name", spec.database_ref.name, can.databases)
    if spec.embedding.provider not in can.embedding:
        yield _refusal("spec.embedding.provider", spec.embedding.provider, can.embedding)
    for position, source in enumerate(spec.sources):
        if (kind := _kind(source)) not in can.sources:
            yield _refusal(f"spec.sources[{position}]", kind, can.sources)
    rerank = spec.retrieval.rerank.provider
    if rerank is not RerankProvider.NONE and rerank not in can.reranking:
        yield _refusal("spec.retrieval.rerank.provider", rerank, can.reranking | {RerankProvider.NONE})
    for position, route in enumerate(spec.generation.routes):
        if route.provider not in can.generation:
            yield _refusal(f"spec.generation.routes[{position}].provider", route.provider, can.generation)
    if spec.generation.guardrail is not None and not can.guardrails:
        yield FieldProblem("spec.generation.guardrail", f"guardrails are {_NOT_HERE}")


def _kind(source: SourceSpec) -> str:
    kinds = {"s3": source.s3, "configMap": source.config_map, "directory": source.directory, "uploads": source.uploads}
    return next(name for name, value in kinds.items() if value is not None)


def _refusal(where: str, asked: str, available: Iterable[str]) -> FieldProblem:
    return FieldProblem(where, f"{asked} is {_NOT_HERE}, which has {', '.join(sorted(available))}")
