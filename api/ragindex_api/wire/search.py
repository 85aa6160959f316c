"""Search: what is asked, and what comes back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ragindex_api.wire.common import (
    FILTERED,
    Closed,
    DocumentRef,
    Language,
    LocationOut,
    Mode,
    Open,
    RevisionRef,
    Said,
    Span,
    Timings,
    TopK,
    Usage,
    Whole,
    absent,
)
from ragindex_core.filters import FilterField

Component = Annotated[float, Field(allow_inf_nan=False, strict=False)]


#: What the description cannot say with types alone.
_ASKS_SOMETHING: dict[str, Any] = {
    "anyOf": [
        {"required": ["query"], "properties": {"query": {"type": "string"}}},
        {"required": ["vector"], "properties": {"vector": {"type": "array"}}},
    ]
}


class SearchRequest(Closed):
    """At least one of `query` and `vector`. What is left out comes from the index's `spec.retrieval`."""

    model_config = ConfigDict(json_schema_extra=_ASKS_SOMETHING)

    query: Said | None = Field(default=None, description="The question, in words.", examples=["days of annual leave"])
    vector: Annotated[list[Component], Field(min_length=1, max_length=4000)] | None = Field(
        default=None, description="Replaces the embedding of `query`; as long as the index's vectors."
    )
    top_k: TopK | None = Field(default=None, description="How many results; `spec.retrieval.topK` when left out.")
    mode: Mode | None = Field(default=None, description="`spec.retrieval.mode` when left out.")
    filter: FilterField | None = Field(default=None, description=FILTERED)
    group_by: Literal["document"] | None = Field(default=None, description="Only each document's best chunk.")
    neighbours: Annotated[Whole, Field(ge=0, le=5)] = Field(
        default=0, description="So many chunks before and after each result, in `before` and `after`."
    )
    rerank: bool | None = Field(
        default=None, description="Must not be true: reranking is not available in this release."
    )
    language: Language | None = Field(
        default=None, description="Of the question, for the keyword arm; told from the text when left out."
    )
    explain: bool = Field(default=False, description="Also how the results were found.")

    @model_validator(mode="after")
    def _asks_something(self) -> SearchRequest:
        if self.query is None and self.vector is None:
            raise PydanticCustomError("query", "query or vector is needed")
        return self


class BatchRequest(Closed):
    """Several searches of one index, answered from one revision. One that is wrong refuses them all."""

    searches: Annotated[list[SearchRequest], Field(min_length=1, max_length=64)]


class Scores(Open):
    """What each arm gave; absent for an arm that did not run."""

    vector: float = absent("Cosine similarity.")
    keyword: float = absent("BM25.")


class Neighbour(Open):
    chunk_id: str
    text: str
    span: Span


class Matched(Open):
    chunk_id: str
    span: Span
    score: float


class Result(Open):
    chunk_id: str = Field(description="Opaque; belongs to the revision.")
    text: str
    score: float = Field(description="Orders this response; not comparable between responses.")
    scores: Scores
    document: DocumentRef
    location: LocationOut
    span: Span
    language: str | None
    metadata: dict[str, Any]
    before: list[Neighbour] = absent()
    after: list[Neighbour] = absent()
    matched: list[Matched] = absent("Hierarchical: what was found inside the section that `text` is.")


class SearchResponse(Open):
    results: list[Result]
    revision: RevisionRef
    run_id: str
    usage: Usage
    timings: Timings
    degraded: str = absent("Present when an arm could not run: says which, and why.")
    explain: dict[str, Any] = absent("How the results were found; may change from release to release.")


class BatchResponse(Open):
    searches: list[SearchResponse]
