"""Documents, their states, and the objects of indexes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from ragindex_api.wire.common import Open

State = Literal["Pending", "Processing", "Indexed", "Failed", "Deleting"]


class DocumentOut(Open):
    id: str = Field(description="Stable across revisions.")
    source: str
    uri: str = Field(description="Ends in the path or key relative to its source.")
    title: str | None
    version: str | None = Field(description="Of the newest bytes that were read.")
    state: State
    reason: str | None = Field(description="Why it is not indexed; docs/document-states.md lists them.")
    message: str | None
    attempts: int
    next_attempt_at: datetime | None = Field(default=None, description="When a failed attempt is repeated.")
    chunks: int
    indexed_version: str | None = Field(description="The version that is searchable, maybe an older one.")
    indexed_at: datetime | None = None
    media_type: str | None = None
    language: str | None = None
    size: int | None = None
    metadata: dict[str, Any]


class DocumentList(Open):
    documents: list[DocumentOut]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


class UploadAccepted(Open):
    document: DocumentOut
    sha256: str = Field(description="Of the bytes that were received.")


class DeletedDocument(Open):
    id: str
    deleted_at: datetime
    remaining_chunks: int = Field(description="In all revisions that are kept.")


class DeletedProof(Open):
    """Members of the problem that answers for a document that was deleted: the proof of its absence."""

    deleted_at: datetime
    remaining_chunks: int


class RequestAccepted(Open):
    request_id: str = Field(description="Of the run that was asked for: it shows as `status.handled.sync.value`.")
    index: str
    accepted_at: datetime


class RagIndexOut(Open):
    """The object as `kubectl get -o json` shows it; its fields are described by the CustomResourceDefinition."""

    apiVersion: Literal["ragindex.io/v1alpha1"]  # noqa: N815  the wire's own name
    kind: Literal["RagIndex"]
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class RagIndexList(Open):
    items: list[RagIndexOut]


class Health(Open):
    status: Literal["ok"]
