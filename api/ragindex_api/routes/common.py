"""What the endpoints share: names in paths, closed queries, JSON without a detour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from inspect import signature
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ragindex_api.encoding import encode
from ragindex_api.problems import Kind, ProblemError
from ragindex_core.errors import FieldProblem, InvalidInput, NotFound
from ragindex_core.object.base import DNS_LABEL

_LABEL = {"pattern": DNS_LABEL, "minLength": 1, "maxLength": 63}

#: Described here and judged by the catalogue: a name that cannot be is a name that is not there.
Namespace = Annotated[str, Path(description="Namespace of the RagIndex.", json_schema_extra=_LABEL)]
Name = Annotated[str, Path(description="Name of the RagIndex.", json_schema_extra=_LABEL)]
DocumentId = Annotated[
    str, Path(description="As listed.", json_schema_extra={"pattern": "^[0-9]{1,18}$", "minLength": 1})
]
_MOST_DIGITS = 18

INDEX = "/v1/indexes/{namespace}/{name}"
DOCUMENT = f"{INDEX}/documents/{{document_id}}"


class Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        return encode(content)


def number_of(document_id: str) -> int:
    if not (document_id.isascii() and document_id.isdigit() and len(document_id) <= _MOST_DIGITS):
        raise NotFound("this index has no document of that id")
    return int(document_id)


class Closed(APIRoute):
    """Requests are closed, their queries too.

    An endpoint that takes nothing but the request and the names in its path, and answers by itself, is called as it
    is: the framework has nothing to find out for it, and takes longer over that than a search does.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if _needs_nothing_found(self.dependant) and signature(endpoint, eval_str=True).return_annotation is Response:
            self.app = self._answer

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {parameter.alias for parameter in self.dependant.query_params}

        async def closed(request: Request) -> Response:
            _refuse_unknown(request, known)
            return await handle(request)

        return closed

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        _refuse_unknown(request, frozenset())
        response = await self.endpoint(request=request, **scope["path_params"])
        await response(scope, receive, send)


def _needs_nothing_found(dependant: Dependant) -> bool:
    found = (dependant.query_params, dependant.header_params, dependant.cookie_params, dependant.body_params)
    return dependant.request_param_name == "request" and not any(found) and not dependant.dependencies


def _refuse_unknown(request: Request, known: Collection[str]) -> None:
    if request.scope["query_string"] and (unknown := sorted(set(request.query_params).difference(known))):
        raise InvalidInput([FieldProblem(name, "is not a parameter of this request") for name in unknown])


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """What runs out of its time is a problem of its own kind."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise ProblemError(Kind.TIMED_OUT, f"it took longer than {seconds:g} s", retry_after_seconds=2) from None
