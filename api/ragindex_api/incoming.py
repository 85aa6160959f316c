"""A request that brings a document: which name it has, what is said of it, and its bytes, whatever the body's form."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from time import perf_counter
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from ragindex_api import multipart
from ragindex_api.problems import Kind, ProblemError, invalid
from ragindex_api.uploading import Incoming, too_large
from ragindex_api.validation import media_type, path
from ragindex_core.errors import FieldProblem, InvalidInput

_FORM_OVERHEAD = 256 * 1024
_LONGEST_KEY_BYTES = 1000
_SLOWEST = 1024  # bytes a second, once a body has had its time to begin: each holds one of few places
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _kept(value: object) -> object:
    """A whole number that a double cannot hold to the last digit would come back as another one."""
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            exact = int(float(value)) == value
        except OverflowError:
            exact = False
        if not exact:
            raise PydanticCustomError("number", "loses digits")
    return value


_Key = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Text = Annotated[str, Field(max_length=2048, pattern=r"^[^\x00]*$", strict=True)]
_Number = Annotated[float, BeforeValidator(_kept), Field(strict=True, allow_inf_nan=False)]
_Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
_Value = Annotated[bool, Field(strict=True)] | _Whole | _Number | _Text | Annotated[list[_Text], Field(max_length=100)]
_METADATA = TypeAdapter(Annotated[dict[_Key, _Value], Field(max_length=50)])
_WHOLE = "must be an object of up to 50 strings, numbers, booleans or lists of strings"
_MEMBER = (
    "must be a string, a boolean, a list of up to 100 strings, or a finite number that a double holds to its last "
    "digit; a string may have 2048 characters, a key 100, and neither a NUL"
)

#: What a body is called by clients that do not know what they send.
_UNTOLD = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})


async def read(
    request: Request, limit: int, idle_seconds: float, filename: str | None, metadata: str | None
) -> Incoming:
    """The document as far as it is known before its bytes. The rest of the body is read by whoever reads its data."""
    declared = media_type(request)
    is_form = declared == "multipart/form-data"
    _check_length(request, limit + (_FORM_OVERHEAD if is_form else 0), limit)
    body = _body(request, idle_seconds)
    if is_form:
        for name, given in (("filename", filename), ("metadata", metadata)):
            if given is not None:
                raise invalid(name, "belongs into the form")
        return await _from_form(request.headers["content-type"], body)
    if declared.startswith("multipart/"):
        raise ProblemError(
            Kind.UNSUPPORTED_MEDIA_TYPE, f"send multipart/form-data or the bytes as they are, not {declared}"
        )
    named = filename if filename is not None else _disposition(request)
    if not named:
        raise invalid("filename", "is needed, in the query or in Content-Disposition")
    return Incoming(
        key=key_of(named, "filename"),
        media_type=None if declared in _UNTOLD else declared,
        data=body,
        metadata=metadata_of(metadata) if metadata is not None else {},
    )


def key_of(filename: str, field: str) -> str:
    """The document's place among the uploads: a relative path, without steps up or empty parts."""
    problem = None
    if _CONTROL.search(filename):
        problem = "must not hold control characters"
    elif len(filename.encode()) > _LONGEST_KEY_BYTES:
        problem = f"must have at most {_LONGEST_KEY_BYTES} bytes"
    elif not filename.strip() or any(part.strip() in ("", ".", "..") for part in filename.split("/")):
        problem = "must be a relative path such as handbook/leave.md"
    if problem is not None:
        raise invalid(field, problem)
    return filename


def metadata_of(text: str | bytes) -> dict[str, Any]:
    """Raises InvalidInput with each place below ``metadata``."""
    try:
        return _METADATA.validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if details[0]["type"] == "json_invalid":
            raise invalid("metadata", f"is not JSON: {details[0]['ctx']['error']}") from None
        places = dict.fromkeys(tuple(detail["loc"][:1]) for detail in details)
        raise InvalidInput(
            [FieldProblem(path(("metadata", *place)), _MEMBER if place else _WHOLE) for place in places]
        ) from None


async def _from_form(content_type: str, body: AsyncIterator[bytes]) -> Incoming:
    events = multipart.events(multipart.FormReader(content_type), body)
    metadata: dict[str, Any] = {}
    async for event in events:
        if isinstance(event, multipart.Field):
            metadata.update(metadata_of(event.value))
        elif isinstance(event, multipart.FileBegins):
            return Incoming(key_of(event.filename, "file"), event.media_type, _file(events, metadata), metadata)
    raise invalid("file", "is needed")


async def _file(events: AsyncIterator[multipart.Event], metadata: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """The bytes of the file; what the form says after them is taken down on the way."""
    async for event in events:
        if isinstance(event, multipart.FileData):
            yield event.data
        elif isinstance(event, multipart.Field):
            metadata.update(metadata_of(event.value))


async def _body(request: Request, idle_seconds: float) -> AsyncGenerator[bytes, None]:
    stream = request.stream()
    received, waited = 0, 0.0
    while True:
        asked = perf_counter()
        try:
            async with asyncio.timeout(idle_seconds):
                data = await anext(stream, None)
        except TimeoutError:
            raise ProblemError(
                Kind.MALFORMED, f"nothing came for {idle_seconds:g} s", headers={"Connection": "close"}
            ) from None
        except ClientDisconnect as gone:
            raise ProblemError(Kind.MALFORMED, "the client left in the middle of the body") from gone
        if data is None:
            return
        received += len(data)
        waited += perf_counter() - asked
        if waited > idle_seconds and received < waited * _SLOWEST:
            message = f"it comes more slowly than {_SLOWEST} bytes a second"
            raise ProblemError(Kind.MALFORMED, message, headers={"Connection": "close"})
        if data:
            yield data


def _check_length(request: Request, most: int, limit: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large(limit)


def _disposition(request: Request) -> str:
    """``filename*`` of RFC 6266 counts before ``filename``, which may be raw UTF-8."""
    header = request.headers.get("content-disposition", "")
    extended = re.search(r"filename\*\s*=\s*utf-8''([^;]+)", header, re.IGNORECASE)
    if extended:
        return unquote(extended[1].strip())
    _, options = parse_options_header(header.encode("latin-1"))
    return options.get(b"filename", b"").decode("utf-8", "replace")
