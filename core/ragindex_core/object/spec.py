"""What a person asks for: ``spec`` of a RagIndex. The single source of the CRD, its validation and its reference."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ragindex_core.chunking.rules import ChunkingStrategy
from ragindex_core.object.base import Bool, Label, Model, Rule, TransitionRule, hinted, int32, int64
from ragindex_core.object.ingestion import CronExpression, IngestionSpec
from ragindex_core.object.sources import SourceSpec


class DeletionPolicy(StrEnum):
    RETAIN = "Retain"
    DELETE = "Delete"


class EmbeddingProvider(StrEnum):
    BEDROCK = "Bedrock"
    OPENAI = "OpenAI"
    LOCAL = "Local"


class ElementType(StrEnum):
    HALF_VECTOR = "HalfVector"
    VECTOR = "Vector"


class Distance(StrEnum):
    COSINE = "Cosine"
    L2 = "L2"
    INNER_PRODUCT = "InnerProduct"


class IndexType(StrEnum):
    HNSW = "HNSW"
    NONE = "None"


class PromotionMode(StrEnum):
    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class RetrievalMode(StrEnum):
    HYBRID = "Hybrid"
    VECTOR = "Vector"
    KEYWORD = "Keyword"


class FusionMethod(StrEnum):
    WEIGHTED = "Weighted"
    RRF = "RRF"


class RerankProvider(StrEnum):
    NONE = "None"
    BEDROCK = "Bedrock"


class GenerationProvider(StrEnum):
    BEDROCK = "Bedrock"
    OPENAI = "OpenAI"


_MODEL = hinted(
    r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
    'the identifier of a model: letters, digits and . _ : / @ -, such as "amazon.titan-embed-text-v2:0"',
)
_LANGUAGE = hinted(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "a BCP 47 language tag such as en, de or pt-BR")
_GUARDRAIL = hinted(r"^[a-z0-9]+$", "the identifier of a Bedrock guardrail: lower-case letters and digits")
_GUARDRAIL_VERSION = hinted(r"^(DRAFT|[1-9][0-9]{0,7})$", "DRAFT or a version number")

ModelName = Annotated[str, Field(min_length=1, max_length=256, pattern=_MODEL)]


class DatabaseRef(Model):
    """Which database holds the index."""

    transition_rules: ClassVar = (
        TransitionRule(
            cel="self == oldSelf",
            message="databaseRef cannot be changed; create a new RagIndex to move the data",
            holds=lambda new, old: new == old,
        ),
    )

    name: Label = Field(
        default="default",
        description="Name of a database that the platform owner lists in the chart's values; never a host.",
    )


class EndpointRef(Model):
    """Which endpoint answers for an OpenAI-compatible provider."""

    name: Label = Field(description="Name of an endpoint that the platform owner lists in the chart's values.")


class EmbeddingSpec(Model):
    """The model that turns text into vectors. A change builds a new revision beside the live one."""

    rules: ClassVar = (
        Rule(
            cel="!has(self.endpointRef) || self.provider == 'OpenAI'",
            message="endpointRef may be set only when provider is OpenAI",
            holds=lambda e: e.endpoint_ref is None or e.provider is EmbeddingProvider.OPENAI,
            field="endpointRef",
        ),
    )

    provider: EmbeddingProvider = Field(
        description="Who computes vectors: Bedrock, OpenAI (any compatible endpoint) or Local (in the worker itself)."
    )
    model: ModelName = Field(description="The provider's own identifier of the model.")
    dimensions: Annotated[int, int32(1, 4000)] = Field(
        description="Length of a vector. Must be one that the model gives."
    )
    element_type: ElementType = Field(
        default=ElementType.HALF_VECTOR,
        description="HalfVector (2 bytes a number, indexed up to 4000 dimensions) or Vector (4 bytes, up to 2000).",
    )
    distance: Distance = Field(default=Distance.COSINE, description="How two vectors are compared.")
    endpoint_ref: EndpointRef | None = Field(
        default=None, description="The endpoint of an OpenAI provider; without it the only one there is."
    )


class ChunkingSpec(Model):
    """How documents are cut into passages. A change builds a new revision beside the live one."""

    rules: ClassVar = (
        Rule(
            cel="self.overlapTokens < self.maxTokens",
            message="overlapTokens must be less than maxTokens",
            holds=lambda c: c.overlap_tokens < c.max_tokens,
            field="overlapTokens",
        ),
    )

    strategy: ChunkingStrategy = Field(
        default=ChunkingStrategy.STRUCTURAL,
        description=(
            "Structural follows headings, pages and tables; Sentence packs sentences; Fixed counts tokens; "
            "Hierarchical searches sentences and returns their section; None keeps a document whole as far as the "
            "model's limit allows."
        ),
    )
    max_tokens: Annotated[int, int32(32, 8192)] = Field(
        default=300,
        description="Most tokens of heading and text together, by the model's own count; lowered to the model's limit.",
    )
    overlap_tokens: Annotated[int, int32(0, 4096)] = Field(
        default=40, description="Tokens that neighbouring passages share."
    )


class HnswSpec(Model):
    """Parameters of the HNSW graph."""

    rules: ClassVar = (
        Rule(
            cel="self.efConstruction >= 2 * self.m",
            message="efConstruction must be at least twice m",
            holds=lambda h: h.ef_construction >= 2 * h.m,
            field="efConstruction",
        ),
    )

    m: Annotated[int, int32(2, 100)] = Field(default=16, description="Links of a node in each layer.")
    ef_construction: Annotated[int, int32(4, 1000)] = Field(
        default=128, description="Candidates looked at when a vector is added; more is slower and finds better links."
    )


class IndexSpec(Model):
    """The vector index. A change rebuilds it beside the old one and re-embeds nothing."""

    rules: ClassVar = (
        Rule(
            cel="!has(self.hnsw) || self.type == 'HNSW'",
            message="hnsw may be set only when type is HNSW",
            holds=lambda i: i.hnsw is None or i.type is IndexType.HNSW,
            field="hnsw",
        ),
        Rule(
            cel="!has(self.rebuildSchedule) || self.type == 'HNSW'",
            message="rebuildSchedule may be set only when type is HNSW",
            holds=lambda i: i.rebuild_schedule is None or i.type is IndexType.HNSW,
            field="rebuildSchedule",
        ),
    )

    type: IndexType = Field(default=IndexType.HNSW, description="HNSW, or None to search exactly always.")
    hnsw: HnswSpec | None = Field(
        default=None, description="Parameters of HNSW; m 16 and efConstruction 128 if left out."
    )
    rebuild_schedule: CronExpression | None = Field(
        default=None,
        description=(
            "Five-field cron, read in UTC. When it fires, a vector index that updates and deletions have bloated is "
            "rebuilt beside the live one; searches go on. Without it an index is never rebuilt by itself."
        ),
    )

    @property
    def graph(self) -> HnswSpec | None:
        """The parameters in force; None when no index is wanted."""
        return (self.hnsw or HnswSpec()) if self.type is IndexType.HNSW else None


class RolloutSpec(Model):
    """How a new revision takes the place of the live one."""

    promotion: PromotionMode = Field(
        default=PromotionMode.AUTOMATIC, description="Automatic, or Manual to wait for ragindex.io/promote."
    )
    min_documents_percent: Annotated[int, int32(0, 100)] = Field(
        default=95,
        description="Share of the live revision's documents that the new one must hold before it is promoted.",
    )
    retain_revisions: Annotated[int, int32(0, 5)] = Field(
        default=1, description="How many former revisions are kept for rollback."
    )
    max_estimated_tokens: Annotated[int, int64(0, 1_000_000_000_000)] = Field(
        default=50_000_000,
        description="A revision estimated above so many tokens waits for ragindex.io/approve before it is embedded.",
    )


class RerankSpec(Model):
    """A second look at the best results by a reranking model."""

    rules: ClassVar = (
        Rule(
            cel="has(self.model) == (self.provider != 'None')",
            message="model must be set exactly when provider is not None",
            holds=lambda r: (r.model is not None) == (r.provider is not RerankProvider.NONE),
            field="model",
        ),
    )

    provider: RerankProvider = Field(default=RerankProvider.NONE, description="None or Bedrock.")
    model: ModelName | None = Field(default=None, description="The provider's own identifier of the reranking model.")


class RetrievalSpec(Model):
    """What a search does when the request does not say otherwise."""

    rules: ClassVar = (
        Rule(
            cel="self.efSearch >= self.topK",
            message="efSearch must be at least topK",
            holds=lambda r: r.ef_search >= r.top_k,
            field="efSearch",
        ),
    )

    mode: RetrievalMode = Field(default=RetrievalMode.HYBRID, description="Hybrid, Vector or Keyword.")
    top_k: Annotated[int, int32(1, 100)] = Field(default=8, description="How many results are returned.")
    fusion: FusionMethod = Field(
        default=FusionMethod.WEIGHTED,
        description="How the two arms of Hybrid are joined: Weighted (normalised scores) or RRF (reciprocal ranks).",
    )
    vector_weight: Annotated[int, int32(0, 100)] = Field(
        default=70, description="Weight of the vector arm in percent; the keyword arm has the rest."
    )
    ef_search: Annotated[int, int32(1, 1000)] = Field(
        default=100, description="Candidates that an HNSW search looks at; more is slower and finds more."
    )
    rerank: RerankSpec = Field(default_factory=RerankSpec, description="Reranking of the best results.")


class GenerationRoute(Model):
    """One language model that may write answers."""

    rules: ClassVar = (
        Rule(
            cel="!has(self.endpointRef) || self.provider == 'OpenAI'",
            message="endpointRef may be set only when provider is OpenAI",
            holds=lambda r: r.endpoint_ref is None or r.provider is GenerationProvider.OPENAI,
            field="endpointRef",
        ),
    )

    provider: GenerationProvider = Field(description="Bedrock, or OpenAI (any compatible endpoint).")
    model: ModelName = Field(description="The provider's own identifier of the model or inference profile.")
    endpoint_ref: EndpointRef | None = Field(
        default=None, description="The endpoint of an OpenAI provider; without it the only one there is."
    )


class GuardrailSpec(Model):
    """A Bedrock guardrail that every answer passes."""

    id: Annotated[str, Field(min_length=1, max_length=64, pattern=_GUARDRAIL)] = Field(
        description="Identifier of the guardrail."
    )
    version: Annotated[str, Field(min_length=1, max_length=8, pattern=_GUARDRAIL_VERSION)] = Field(
        description="Its version, or DRAFT."
    )


class GenerationSpec(Model):
    """How answers are written. Without routes an answer is its best cited passages."""

    routes: tuple[GenerationRoute, ...] = Field(
        default=(),
        max_length=8,
        description="Models in order of preference; a throttled or failed one falls to the next.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    max_tokens: Annotated[int, int32(1, 32768)] = Field(default=1024, description="Most tokens of an answer.")
    guardrail: GuardrailSpec | None = Field(default=None, description="A Bedrock guardrail for answers.")
    language: Annotated[str, Field(min_length=2, max_length=35, pattern=_LANGUAGE)] | None = Field(
        default=None, description="Language of answers; without it the language of the question."
    )


class RagIndexSpec(Model):
    """One searchable, cited, self-maintaining index of documents."""

    rules: ClassVar = (
        Rule(
            cel=(
                "self.index.type == 'None' || self.embedding.elementType != 'Vector'"
                " || self.embedding.dimensions <= 2000"
            ),
            message="an indexed Vector has at most 2000 dimensions; use elementType HalfVector, or index type None",
            holds=lambda s: (
                s.index.type is IndexType.NONE
                or s.embedding.element_type is not ElementType.VECTOR
                or s.embedding.dimensions <= 2000
            ),
            field="embedding.dimensions",
        ),
        Rule(
            cel="self.sources.filter(s, has(s.uploads)).size() <= 1",
            message="at most one source may be uploads",
            holds=lambda s: sum(source.uploads is not None for source in s.sources) <= 1,
            field="sources",
        ),
    )

    suspend: Bool = Field(default=False, description="Stops ingestion, never queries; uploads are accepted and wait.")
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="On deletion of the object: Retain keeps its data for adoption, Delete drops it.",
    )
    database_ref: DatabaseRef = Field(default_factory=DatabaseRef, description="Which database holds the index.")
    embedding: EmbeddingSpec = Field(description="The model that turns text into vectors.")
    chunking: ChunkingSpec = Field(default_factory=ChunkingSpec, description="How documents are cut into passages.")
    index: IndexSpec = Field(default_factory=IndexSpec, description="The vector index.")
    sources: tuple[SourceSpec, ...] = Field(
        min_length=1,
        max_length=32,
        description="Where documents come from. Removing a source removes its documents.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    ingestion: IngestionSpec = Field(default_factory=IngestionSpec, description="When and how documents are taken in.")
    rollout: RolloutSpec = Field(
        default_factory=RolloutSpec, description="How a new revision takes the place of the live one."
    )
    retrieval: RetrievalSpec = Field(
        default_factory=RetrievalSpec, description="What a search does when the request does not say otherwise."
    )
    generation: GenerationSpec = Field(default_factory=GenerationSpec, description="How answers are written.")


__all__ = [
    "ChunkingSpec",
    "ChunkingStrategy",
    "DatabaseRef",
    "DeletionPolicy",
    "Distance",
    "ElementType",
    "EmbeddingProvider",
    "EmbeddingSpec",
    "EndpointRef",
    "FusionMethod",
    "GenerationProvider",
    "GenerationRoute",
    "GenerationSpec",
    "GuardrailSpec",
    "HnswSpec",
    "IndexSpec",
    "IndexType",
    "IngestionSpec",
    "PromotionMode",
    "RagIndexSpec",
    "RerankProvider",
    "RerankSpec",
    "RetrievalMode",
    "RetrievalSpec",
    "RolloutSpec",
    "SourceSpec",
]
