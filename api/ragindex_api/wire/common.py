"""What requests and responses share."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ragindex_core.filters import BUILT_IN


class Closed(BaseModel):
    """A request: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Open(BaseModel):
    """A response as it is documented. The service builds plain dictionaries; a test holds the two together."""

    model_config = ConfigDict(extra="allow")


def _undefaulted(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def absent(description: str | None = None, **bounds: Any) -> Any:
    """A member of a response that is left out where it does not apply, and never null."""
    return Field(default=None, description=description, json_schema_extra=_undefaulted, **bounds)


def _storable(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("text", "must not hold a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise PydanticCustomError("text", "must not hold a lone surrogate")
    return value


def _said(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("text", "must not be empty")
    return _storable(value)


def worded(pattern: str, message: str) -> tuple[Any, Any]:
    """A form that the description gives as a pattern, and a refusal in words."""
    form = re.compile(pattern)

    def check(value: str) -> str:
        if form.search(value) is None:
            raise PydanticCustomError("form", "{message}", {"message": message})
        return value

    return Field(json_schema_extra={"pattern": pattern}), AfterValidator(check)


LONGEST_QUESTION = 8000
_Question = Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION, json_schema_extra={"pattern": r"\S"})]
Said = Annotated[_Question, AfterValidator(_said)]


def _whole(value: object) -> object:
    """To JSON 5.0 is the same number as 5, and some clients write all numbers so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
TopK = Annotated[Whole, Field(ge=1, le=100)]
Language = Annotated[
    str,
    Field(min_length=2, max_length=35),
    *worded(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "must be the code of a language, such as en or pt-BR"),
]


class FieldError(Open):
    field: str = Field(description="Dotted path of the field; empty for the request as a whole.")
    message: str


class ProblemDetails(Open):
    """RFC 9457. `type` is stable, `detail` is for people."""

    type: str = Field(examples=["urn:ragindex:problem:invalid-input"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    request_id: str = Field(description="Also in the header X-Request-Id, and in the service's log.")
    errors: list[FieldError] = absent()


class Span(Open):
    """Code points of the document's content: `content[start:end]`."""

    start: int
    end: int


class LocationOut(Open):
    """Where a person finds the passage. What does not apply is absent."""

    page: int = absent("Pages and slides count from 1.", ge=1)
    page_end: int = absent(ge=1)
    sheet: str = absent()
    cells: str = absent("A1 range.", examples=["A2:D40"])
    start_ms: int = absent()
    end_ms: int = absent()
    speaker: str = absent()
    headings: list[str] = absent()


class DocumentRef(Open):
    id: str
    uri: str
    title: str | None
    version: str | None = Field(description="Of the bytes this was read from: content?version= serves its text.")


class RevisionRef(Open):
    """The one revision that everything in this response came from."""

    id: str
    key: str
    provider: str
    model: str
    dimensions: int


class Usage(Open):
    embedding_tokens: int = Field(description="0 when the question was embedded before.")
    input_tokens: int = Field(default=0, description="Of the language model.")
    output_tokens: int = Field(default=0, description="Of the language model.")


#: Of the member ``filter``. The names are those of ``ragindex_core.filters``.
FILTERED = (
    "Only documents whose metadata matches: keys of a sidecar or upload, what the file says of itself (`author`, "
    f"`pages`, `created`, …), and RagIndex's own: {', '.join(f'`{key}`' for key in BUILT_IN)}."
)
Timings = Annotated[dict[str, float], Field(description="Milliseconds by stage, and `total`.")]
Mode = Literal["vector", "keyword", "hybrid"]
