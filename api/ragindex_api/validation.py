"""Reading a JSON body: bounded, of the right type, closed, and every complaint names its field."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from ragindex_api.problems import Kind, ProblemError
from ragindex_core.errors import FieldProblem, InvalidInput

Body = TypeVar("Body", bound=BaseModel)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_bytes(request: Request, limit: int, seconds: float) -> bytes:
    """The body of a request that says it is JSON; refused before more than ``limit`` bytes are held, or when it does
    not come in time."""
    declared = media_type(request)
    if declared != "application/json" and not declared.endswith("+json"):
        raise ProblemError(
            Kind.UNSUPPORTED_MEDIA_TYPE,
            f"send application/json, not {declared or 'a body without a content type'}",
            headers={"Accept-Post": "application/json"},
        )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    parts = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                parts += part
                if len(parts) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        message = f"the body did not come within {seconds:g} s"
        raise ProblemError(Kind.MALFORMED, message, headers={"Connection": "close"}) from None
    except ClientDisconnect as gone:
        raise ProblemError(Kind.MALFORMED, "the client left in the middle of the body") from gone
    return bytes(parts)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(Kind.TOO_LARGE, f"the body may have at most {limit} bytes")


def parse(model: type[Body], data: bytes) -> Body:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if details[0]["type"] == "json_invalid":
            raise ProblemError(Kind.MALFORMED, f"the body is not JSON: {details[0]['ctx']['error']}") from None
        raise InvalidInput([_problem(detail) for detail in details]) from None


def problems_of(errors: Sequence[ErrorDetails]) -> list[FieldProblem]:
    """Of parameters in path and query, whose place begins with where they stand."""
    return [FieldProblem(path(detail["loc"][1:]), _message(detail)) for detail in errors]


def _problem(detail: ErrorDetails) -> FieldProblem:
    return FieldProblem(path(detail["loc"]), _message(detail))


def path(parts: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return "is not a field of this request"
        case "missing":
            return "is needed"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be an object"
        case "literal_error" | "enum":
            return f"must be {str(context['expected']).replace(chr(39), '')}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "string_pattern_mismatch":
            return "is not of the form that the description of this request gives"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_too_short":
            return f"must have at least {context['min_length']} characters"
        case "too_long":
            return f"must have at most {context['max_length']} items"
        case "too_short":
            return f"must have at least {context['min_length']} items"
        case _:
            message = detail["msg"]
            return message[:1].lower() + message[1:]
