"""What no schema can check: the spec is well formed, and still cannot work. Ends in ``Stalled=True/InvalidSpec``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ragindex_core.errors import FieldProblem
from ragindex_core.object.quantity import resource_problems
from ragindex_core.object.spec import EmbeddingProvider, RagIndexSpec
from ragindex_core.schedule import expression_problem, time_zone_problem


@dataclass(frozen=True, slots=True)
class KnownModel:
    """An embedding model whose dimensions are known for certain."""

    provider: EmbeddingProvider
    stem: str  # how its identifier begins, after an inference profile's region
    dimensions: tuple[int, ...]


#: A model that is not listed is believed: providers add models faster than releases of RagIndex.
KNOWN_MODELS = (
    KnownModel(EmbeddingProvider.LOCAL, "all-minilm-l6-v2", (384,)),
    KnownModel(EmbeddingProvider.BEDROCK, "amazon.titan-embed-text-v2", (256, 512, 1024)),
    KnownModel(EmbeddingProvider.BEDROCK, "amazon.titan-embed-text-v1", (1536,)),
    KnownModel(EmbeddingProvider.BEDROCK, "cohere.embed-english-v3", (1024,)),
    KnownModel(EmbeddingProvider.BEDROCK, "cohere.embed-multilingual-v3", (1024,)),
    KnownModel(EmbeddingProvider.BEDROCK, "cohere.embed-v4", (256, 512, 1024, 1536)),
    KnownModel(EmbeddingProvider.BEDROCK, "amazon.nova-2-multimodal-embeddings-v1", (256, 384, 1024, 3072)),
    KnownModel(EmbeddingProvider.OPENAI, "text-embedding-ada-002", (1536,)),
)
_PROFILE_REGIONS = ("us", "eu", "apac", "jp", "au", "global")


def check(spec: RagIndexSpec) -> list[FieldProblem]:
    """Every problem, in the order of the fields; empty when the spec can work."""
    return [problem for find in _CHECKS for problem in find(spec)]


def check_edit(new: RagIndexSpec, old: RagIndexSpec) -> list[FieldProblem]:
    """What the API server refuses of an edit by transition rules, for where no API server does."""
    return [
        FieldProblem("spec.databaseRef", rule.message)
        for rule in new.database_ref.transition_rules
        if not rule.holds(new.database_ref, old.database_ref)
    ]


def _dimensions_of_the_model(spec: RagIndexSpec) -> Iterator[FieldProblem]:
    embedding = spec.embedding
    for known in KNOWN_MODELS:
        if known.provider is not embedding.provider or not _begins(embedding.model, known.stem):
            continue
        if embedding.dimensions not in known.dimensions:
            given = " or ".join(", ".join(map(str, known.dimensions)).rsplit(", ", 1))
            yield FieldProblem("spec.embedding.dimensions", f"{known.stem} gives {given}, not {embedding.dimensions}")


def _begins(model: str, stem: str) -> bool:
    region, _, rest = model.partition(".")
    bare = rest if region in _PROFILE_REGIONS else model
    return bare == stem or bare.startswith(f"{stem}:")


def _time_zone(spec: RagIndexSpec) -> Iterator[FieldProblem]:
    if spec.ingestion.time_zone and (problem := time_zone_problem(spec.ingestion.time_zone)):
        yield FieldProblem("spec.ingestion.timeZone", problem)


def _schedule(spec: RagIndexSpec) -> Iterator[FieldProblem]:
    if spec.ingestion.schedule and (problem := expression_problem(spec.ingestion.schedule)):
        yield FieldProblem("spec.ingestion.schedule", problem)


def _rebuild_schedule(spec: RagIndexSpec) -> Iterator[FieldProblem]:
    if spec.index.rebuild_schedule and (problem := expression_problem(spec.index.rebuild_schedule)):
        yield FieldProblem("spec.index.rebuildSchedule", problem)


def _resources(spec: RagIndexSpec) -> Iterator[FieldProblem]:
    resources = spec.ingestion.resources
    yield from resource_problems("spec.ingestion.resources", resources.requests, resources.limits)


_CHECKS: tuple[Callable[[RagIndexSpec], Iterator[FieldProblem]], ...] = (
    _dimensions_of_the_model,
    _rebuild_schedule,
    _schedule,
    _time_zone,
    _resources,
)
