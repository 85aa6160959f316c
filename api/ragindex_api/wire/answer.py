"""Answers: what is asked, what comes back, and the events of a stream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ragindex_api.wire.common import (
    FILTERED,
    Closed,
    DocumentRef,
    LocationOut,
    Open,
    RevisionRef,
    Said,
    Span,
    Timings,
    TopK,
    Usage,
    absent,
    worded,
)
from ragindex_core.filters import FilterField

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ConversationId = Annotated[
    str, Field(min_length=36, max_length=36), *worded(_UUID, "must be a UUID in lower case, with its hyphens")
]

#: A closed list today; clients take an outcome they do not know for an answer like any other.
Outcome = Literal["Answered", "Extractive", "NoEvidence", "Blocked"]


class AnswerRequest(Closed):
    question: Said = Field(examples=["How many days of annual leave do I get?"])
    filter: FilterField | None = Field(default=None, description=FILTERED)
    top_k: TopK | None = Field(default=None, description="How many passages the answer may rest on.")
    stream: bool = Field(default=False, description="Server-sent events instead of one JSON object.")
    conversation_id: ConversationId | None = Field(
        default=None, description="Of an earlier answer, to ask on; a new UUID begins a conversation."
    )


class Citation(Open):
    marker: int = Field(description="The number in brackets in the text.", ge=1)
    index: str = Field(description="namespace/name", examples=["default/quickstart"])
    chunk_id: str
    document: DocumentRef
    location: LocationOut
    span: Span
    quote: str = Field(description="Exactly `content[span.start:span.end]` of this version of the document.")


class Cost(Open):
    usd: float
    price_version: str


class AnswerUsage(Usage):
    markers_removed: int = Field(description="Citations that the model invented and the answer does not show.")


class AnswerResponse(Open):
    answer: str
    outcome: Outcome
    citations: list[Citation]
    model: str | None = Field(description="The route that wrote the answer; null when no model did.")
    revision: RevisionRef
    run_id: str
    conversation_id: str
    usage: AnswerUsage
    cost: Cost | None = Field(description="Null when the price is not known.")
    timings: Timings
    degraded: str = absent("As in a search.")
