"""The service's own description: complete, and true, for tests hold it against what the service does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ragindex_api.problems import MEDIA_TYPE, Kind
from ragindex_api.wire.answer import AnswerRequest, AnswerResponse
from ragindex_api.wire.common import ProblemDetails
from ragindex_api.wire.documents import (
    DeletedDocument,
    DocumentList,
    DocumentOut,
    Health,
    RagIndexList,
    RagIndexOut,
    RequestAccepted,
    UploadAccepted,
)
from ragindex_api.wire.search import BatchRequest, BatchResponse, SearchRequest, SearchResponse

_REF = "#/components/schemas/{model}"
_REQUESTS: tuple[type[BaseModel], ...] = (SearchRequest, BatchRequest, AnswerRequest)
_RESPONSES: tuple[type[BaseModel], ...] = (
    AnswerResponse,
    BatchResponse,
    DeletedDocument,
    DocumentList,
    DocumentOut,
    Health,
    ProblemDetails,
    RagIndexList,
    RagIndexOut,
    RequestAccepted,
    SearchResponse,
    UploadAccepted,
)
Replies = dict[int | str, dict[str, Any]]

DESCRIPTION = """\
Search and cited answers over the documents of RagIndex objects.

- **Errors** are problem documents (RFC 9457, `application/problem+json`); `type` is stable, `errors` names fields.
- **Requests are closed**: an unknown field or parameter is an error that names it. **Responses grow**: pass over
  members, reasons, outcomes and events that you do not know.
- Every response carries `X-Request-Id`; one that you send is kept.
- 429 and 503 carry `Retry-After` in seconds.
- Web pages of other origins are refused (403), as are names in `Host` that the service does not go by (421).
"""


def ref(*models: type[BaseModel]) -> dict[str, Any]:
    refs = [{"$ref": _REF.format(model=model.__name__)} for model in models]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def body(*models: type[BaseModel], examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``openapi_extra`` of an operation that reads JSON."""
    content: dict[str, Any] = {"schema": ref(*models)}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def replies(status: int, description: str, *models: type[BaseModel], problems: tuple[int, ...] = ()) -> Replies:
    """The answer of an operation, and the problems it may end in besides those that any may."""
    return {status: {"description": description, **_json(*models)}, **_problems(*problems)}


def _json(*models: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": ref(*models)}}} if models else {}


def _problems(*statuses: int) -> Replies:
    found: Replies = {}
    for status in sorted({*statuses, 403, 421, 500, 503}):
        kinds = [kind for kind in Kind if kind.status == status]
        described: dict[str, Any] = {
            "description": "; ".join(kind.title for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": ref(ProblemDetails)}},
        }
        if status in (429, 503):
            described["headers"] = {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
            }
        found[status] = described
    return found


def describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    _, requests = models_json_schema([(model, "validation") for model in _REQUESTS], ref_template=_REF)
    _, responses = models_json_schema([(model, "validation") for model in _RESPONSES], ref_template=_REF)
    # The validation errors of the framework never leave the service.
    own = {**requests["$defs"], **responses["$defs"]}
    document.setdefault("components", {})["schemas"] = dict(sorted(own.items()))
    return document
