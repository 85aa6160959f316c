"""What RagIndex answers: ``status`` of a RagIndex. It can be rebuilt from observation at any time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer

from ragindex_core.object.base import Model
from ragindex_core.object.reasons import ConditionType, Outcome, Reason, RequestName


def _whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


#: As Kubernetes writes times: UTC, whole seconds.
Time: TypeAlias = Annotated[
    AwareDatetime, AfterValidator(_whole_seconds), PlainSerializer(_rfc3339, return_type=str, when_used="json")
]
Count: TypeAlias = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Text: TypeAlias = Annotated[str, Field(max_length=256)]

#: Longer messages are cut: a condition is for reading.
MOST_MESSAGE_CHARACTERS = 2048


class Condition(Model):
    """One statement about the object, true, false or unknown, and why."""

    type: ConditionType = Field(description="What the statement is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Reason = Field(description="Why, as one word of a closed list.")
    message: Annotated[str, Field(max_length=4096)] = Field(default="", description="Why, for a person.")
    observed_generation: Count = Field(default=0, description="The generation of the spec that this was said of.")
    last_transition_time: Time = Field(description="When status last changed.")


class RevisionStatus(Model):
    """One revision: which model it holds, and how much."""

    id: Annotated[str, Field(max_length=32)] = Field(description="What promote, rollback and approve call it.")
    key: Annotated[str, Field(max_length=64)] = Field(description="Hash of what its vectors depend on.")
    provider: Text = Field(description="Provider of the embedding model.")
    model: Text = Field(description="The embedding model.")
    dimensions: Count = Field(description="Length of its vectors.")
    documents: Count = Field(default=0, description="Documents indexed in it.")
    chunks: Count = Field(default=0, description="Passages it holds.")
    effective_max_tokens: Count | None = Field(
        default=None, description="chunking.maxTokens as lowered to the model's limit; absent when it was not."
    )
    promoted_at: Time | None = Field(default=None, description="When it last became the active one.")


class PendingRevisionStatus(RevisionStatus):
    """A revision being built."""

    documents_total: Count = Field(default=0, description="Documents it will hold.")
    estimated_tokens: Count | None = Field(default=None, description="Tokens that building it will embed.")
    estimated_cost: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="What that will cost at the known price, such as 1.20 USD."
    )


class DocumentsStatus(Model):
    """Documents in the revision that serves."""

    total: Count = Field(default=0, description="All of them.")
    indexed: Count = Field(default=0, description="Searchable in their present version.")
    pending: Count = Field(default=0, description="Waiting or being worked on.")
    failed: Count = Field(default=0, description="Given up until they change or are retried.")


class IngestionStatus(Model):
    """Runs over the sources."""

    last_run: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="The latest run.")
    last_start_time: Time | None = Field(default=None, description="When it started.")
    last_completion_time: Time | None = Field(default=None, description="When a run last ended, in whatever way.")
    last_successful_time: Time | None = Field(default=None, description="When a run last listed every source.")
    next_scheduled_time: Time | None = Field(default=None, description="When the schedule fires next.")
    consecutive_failures: Count = Field(default=0, description="Runs that failed since the last that succeeded.")


class DatabaseStatus(Model):
    """The database that holds the index."""

    server_version: Text | None = Field(default=None, description="Version of PostgreSQL.")
    pgvector_version: Text | None = Field(default=None, description="Version of pgvector.")
    index_state: Literal["Absent", "Building", "Valid", "Abandoned"] | None = Field(
        default=None, description="State of the vector index of the revision that serves."
    )
    size_bytes: Count | None = Field(default=None, description="Size of this index's tables.")


class HandledStatus(Model):
    """The answer to a request."""

    value: Annotated[str, Field(max_length=256)] = Field(description="The value that was answered.")
    outcome: Outcome = Field(description="How it ended.")
    message: Annotated[str, Field(max_length=1024)] = Field(default="", description="More about it.")
    time: Time = Field(description="When it was answered.")


class RagIndexStatus(Model):
    """What RagIndex says of the object."""

    observed_generation: Count = Field(default=0, description="The generation of the spec that this status is about.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Statements about the object, one of each type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    active_revision: RevisionStatus | None = Field(default=None, description="The revision that was promoted last.")
    pending_revision: PendingRevisionStatus | None = Field(default=None, description="The revision being built.")
    retained_revisions: tuple[RevisionStatus, ...] = Field(
        default=(),
        max_length=8,
        description="Former revisions kept for rollback, latest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    documents: DocumentsStatus | None = Field(default=None, description="Documents in the revision that serves.")
    ingestion: IngestionStatus | None = Field(default=None, description="Runs over the sources.")
    database: DatabaseStatus | None = Field(default=None, description="The database that holds the index.")
    endpoint: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None, description="Where the index answers queries."
    )
    knowledge_base_id: Annotated[str, Field(max_length=10)] | None = Field(
        default=None, description="The stable id under which the Bedrock-compatible door knows the index."
    )
    handled: dict[RequestName, HandledStatus] = Field(
        default_factory=dict, max_length=16, description="The latest answered request of each name."
    )

    def condition(self, type_: ConditionType) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type is type_), None)

    def to_wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
