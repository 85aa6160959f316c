"""The application: parts wired, routes laid, errors translated. Importing this does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from ragindex_api.gate import Gate, Gatekeeper
from ragindex_api.middleware import RequestShell
from ragindex_api.openapi import DESCRIPTION
from ragindex_api.problems import Kind, Problem, ProblemError, told, translate
from ragindex_api.routes import answer, documents, indexes, operations, search
from ragindex_api.services import Services, Wired
from ragindex_api.settings import ApiSettings
from ragindex_api.validation import problems_of
from ragindex_core.errors import InvalidInput, RagIndexError

_TAGS = [
    {"name": "search", "description": "Find passages."},
    {"name": "answer", "description": "Get answers that can be checked."},
    {"name": "documents", "description": "See, send and remove documents."},
    {"name": "indexes", "description": "See indexes and bring them up to date."},
    {"name": "operation", "description": "Run the service."},
]

#: What pages of the origins that were allowed may send and see.
_SHARED: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["Content-Type", "Idempotency-Key", "X-Request-Id"],
    "expose_headers": ["ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-Id"],
}


def create_app(services: Services, settings: ApiSettings) -> FastAPI:
    """The server tells ``app.state.drain`` when to stop, and ``app.state.gate`` on which address requests come."""
    wired = Wired(services, settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        wired.start()
        try:
            yield
        finally:
            await wired.stop()

    app = FastAPI(
        title="RagIndex",
        version=version("ragindex"),
        description=DESCRIPTION,
        openapi_tags=_TAGS,
        openapi_url=None,  # served by a route of ours, as are its pages: the framework's load scripts from elsewhere
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": settings.tracing, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.drain = wired.drain
    app.state.recorder = wired.recorder
    app.state.gate = gate = Gate(settings)
    # From the inside to the outside.
    if settings.allowed_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.allowed_origins, **_SHARED)
    app.add_middleware(Gatekeeper, gate=gate)
    app.add_middleware(RequestShell, metrics=services.metrics, drain=wired.drain)
    app.add_exception_handler(RagIndexError, _told)
    app.add_exception_handler(ProblemError, _told)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _routing)
    for noun in (search, answer, indexes, documents):  # tried in this order: what is asked most comes first
        app.router.routes += noun.router(wired).routes  # an included router looks for its route twice
    app.router.routes += operations.router(wired, app).routes
    return app


async def _told(request: Request, error: Exception) -> Response:
    return told(error, request.state.request_id).response(request)


async def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details: Any = error.errors()
    return translate(InvalidInput(problems_of(details))).response(request)


async def _routing(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    kinds = {404: Kind.NOT_FOUND, 405: Kind.METHOD_NOT_ALLOWED}
    kind = kinds.get(error.status_code, Kind.MALFORMED)
    detail = {
        Kind.NOT_FOUND: f"there is nothing at {request.scope['path']}",
        Kind.METHOD_NOT_ALLOWED: f"{request.method} is not known here",
    }.get(kind, str(error.detail))
    return Problem(kind, detail, headers=dict(error.headers or {})).response(request)
