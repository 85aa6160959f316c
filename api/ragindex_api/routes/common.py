"""What the endpoints share: names in paths, closed queries, JSON without a detour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import JSONResponse

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


async def closed_query(request: Request) -> None:
    """Requests are closed, their queries too."""
    if not request.scope["query_string"]:
        return
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise InvalidInput([FieldProblem(name, "is not a parameter of this request") for name in unknown])


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """What runs out of its time is a problem of its own kind."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise ProblemError(Kind.TIMED_OUT, f"it took longer than {seconds:g} s", retry_after_seconds=2) from None
