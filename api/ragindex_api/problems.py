"""Every error leaves the service as an RFC 9457 problem; here, and nowhere else, errors become statuses."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ragindex_api.encoding import encode
from ragindex_core.errors import (
    Conflict,
    DocumentRejected,
    FieldProblem,
    Gone,
    InvalidInput,
    InvalidSpec,
    Misconfigured,
    NotFound,
    NotReady,
    ProviderRefused,
    RagIndexError,
    Throttled,
    Unavailable,
)
from ragindex_db.engine import DatabaseFull, DatabaseUnavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Kind(Enum):
    """Status, the last part of ``type``, and the title, which is the same for every problem of a kind."""

    MALFORMED = (400, "malformed-request", "The request cannot be read")
    CROSS_ORIGIN = (403, "cross-origin", "The request comes from a web page that may not use this service")
    NOT_FOUND = (404, "not-found", "Nothing by that name")
    METHOD_NOT_ALLOWED = (405, "method-not-allowed", "This path does not know that method")
    CONFLICT = (409, "conflict", "The state of things forbids this now")
    GONE = (410, "gone", "It was there and has been dropped")
    TOO_LARGE = (413, "too-large", "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = (415, "unsupported-media-type", "This path does not take that content type")
    MISDIRECTED = (421, "misdirected", "The service does not go by that name")
    INVALID = (422, "invalid-input", "The request breaks a rule")
    BUSY = (429, "busy", "Too many requests are under way")
    INTERNAL = (500, "internal", "A fault of the service; its log has the details under this request id")
    PROVIDER_REFUSED = (502, "provider-refused", "The model provider refuses what the index asks of it")
    NOT_READY = (503, "not-ready", "Not yet; try again")
    UNAVAILABLE = (503, "unavailable", "Something the service needs does not answer; try again")
    THROTTLED = (503, "throttled", "The model provider's quota is used up for now")
    DRAINING = (503, "draining", "This process is shutting down; another one will answer")
    TIMED_OUT = (503, "timed-out", "The request ran out of its time")

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def type(self) -> str:
        return f"urn:ragindex:problem:{self.value[1]}"

    @property
    def title(self) -> str:
        return self.value[2]


class ProblemError(Exception):
    """A problem that only the service itself can have."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        retry_after_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(kind, detail, tuple(errors), retry_after_seconds, headers or {}, extra or {})


@dataclass(frozen=True, slots=True)
class Problem:
    kind: Kind
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    retry_after_seconds: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, instance: str, request_id: str) -> dict[str, Any]:
        members: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        if self.errors:
            members["errors"] = [{"field": error.field, "message": error.message} for error in self.errors]
        return {**members, **self.extra}

    def response(self, request: Request) -> Response:
        headers = dict(self.headers)
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_seconds)))
        body = self.body(request.scope["path"], request.state.request_id)
        return Response(encode(body), self.kind.status, headers, media_type=MEDIA_TYPE)


#: The first that fits wins, so a class comes before what it derives from. The text is said instead of the error's own
#: message, where that is not for the caller to read.
_TRANSLATION: tuple[tuple[type[RagIndexError], Kind, str | None], ...] = (
    (InvalidSpec, Kind.INTERNAL, Kind.INTERNAL.title),  # a stored spec: nothing the caller sent
    (InvalidInput, Kind.INVALID, None),
    (NotFound, Kind.NOT_FOUND, None),
    (Gone, Kind.GONE, None),
    (Conflict, Kind.CONFLICT, None),
    (NotReady, Kind.NOT_READY, None),
    (DocumentRejected, Kind.INVALID, None),
    (Throttled, Kind.THROTTLED, None),
    (DatabaseFull, Kind.UNAVAILABLE, "the disk of the database is full: nothing can be written until there is room"),
    (DatabaseUnavailable, Kind.UNAVAILABLE, "the database does not answer"),
    (Unavailable, Kind.UNAVAILABLE, None),
    (ProviderRefused, Kind.PROVIDER_REFUSED, None),
    (Misconfigured, Kind.INTERNAL, Kind.INTERNAL.title),
)
_DEFAULT_RETRY_SECONDS = 5.0


def translate(error: Exception) -> Problem:
    """What the caller is told of an error; nothing of one that was not raised on purpose."""
    if isinstance(error, ProblemError):
        return error.problem
    for raised, kind, instead in _TRANSLATION:
        if isinstance(error, raised):
            return Problem(
                kind=kind,
                detail=str(error) if instead is None else instead,
                errors=error.problems if isinstance(error, InvalidInput) and instead is None else (),
                retry_after_seconds=_retry_after(error, kind),
            )
    return Problem(Kind.INTERNAL, Kind.INTERNAL.title)


def told(error: Exception, request_id: str) -> Problem:
    """What the caller is told; what that leaves out goes to the log."""
    problem = translate(error)
    if isinstance(error, RagIndexError) and problem.detail != str(error):
        log.warning(problem.detail, extra={"request_id": request_id, "reason": str(error)})
    elif problem.kind is Kind.INTERNAL:
        log.error("request failed", exc_info=error, extra={"request_id": request_id})
    return problem


def _retry_after(error: RagIndexError, kind: Kind) -> float | None:
    if kind.status != 503:
        return None
    told = error.retry_after_seconds if isinstance(error, NotReady | Unavailable) else None
    return told if told is not None else _DEFAULT_RETRY_SECONDS


def invalid(field_name: str, message: str) -> InvalidInput:
    return InvalidInput.field(field_name, message)
