"""The whole object as a file, the API server or the catalogue holds it, and the reading of it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ragindex_core.errors import FieldProblem, InvalidSpec
from ragindex_core.object.base import PATTERN_HINTS, RULES_ERROR, Label, Model, Rule
from ragindex_core.object.spec import RagIndexSpec, SourceSpec
from ragindex_core.object.status import RagIndexStatus

API_VERSION: Literal["ragindex.io/v1alpha1"] = "ragindex.io/v1alpha1"
KIND: Literal["RagIndex"] = "RagIndex"
ANNOTATION_PREFIX = "ragindex.io/"
DEFAULT_NAMESPACE = "default"

_KNOWLEDGE_BASE_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Metadata(Model):
    """What Kubernetes keeps of every object, as far as RagIndex looks at it; the rest is passed over."""

    model_config = ConfigDict(extra="ignore")

    name: Label
    namespace: Label = DEFAULT_NAMESPACE
    uid: Annotated[str, Field(max_length=64)] = ""
    generation: Annotated[int, Field(strict=True, ge=0)] = 1
    resource_version: Annotated[str, Field(max_length=64)] = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


class RagIndex(Model):
    """One RagIndex object."""

    rules: ClassVar = (
        Rule(
            cel="size(self.metadata.name) <= 40",
            message="metadata.name must be at most 40 characters; the names of Jobs are made from it",
            holds=lambda index: len(index.metadata.name) <= 40,
            field="metadata.name",
        ),
        Rule(
            cel="!self.metadata.name.contains('.')",
            message='metadata.name must not contain "."; it becomes a part of other names',
            holds=lambda index: "." not in index.metadata.name,
            field="metadata.name",
        ),
    )

    api_version: Literal["ragindex.io/v1alpha1"] = API_VERSION
    kind: Literal["RagIndex"] = KIND
    metadata: Metadata
    spec: RagIndexSpec
    status: RagIndexStatus | None = None

    @property
    def path(self) -> str:
        """``namespace/name``, as people name an index."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    def annotation(self, name: str) -> str | None:
        """The value of ``ragindex.io/<name>``; an empty one counts as absent."""
        return self.metadata.annotations.get(ANNOTATION_PREFIX + name) or None

    def to_wire(self) -> dict[str, Any]:
        """The object as ``kubectl get -o json`` shows it: defaults written out, what is absent left out."""
        wire = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        wire["metadata"] = {key: value for key, value in wire["metadata"].items() if value not in ("", {}, [])}
        return wire


def knowledge_base_id(uid: str) -> str:
    """The stable 10-character id under which the Bedrock-compatible door knows the index."""
    number = int.from_bytes(hashlib.sha256(uid.encode()).digest(), "big")
    characters = []
    for _ in range(10):
        number, digit = divmod(number, len(_KNOWLEDGE_BASE_ALPHABET))
        characters.append(_KNOWLEDGE_BASE_ALPHABET[digit])
    return "".join(characters)


def parse(document: object, origin: str) -> RagIndex:
    """Read an object from decoded YAML or JSON. Raises InvalidSpec that names every field as it was written."""
    if not isinstance(document, Mapping):
        raise InvalidSpec(
            [FieldProblem("", "must be a RagIndex object, a mapping of apiVersion, kind, metadata, spec")], origin
        )
    try:
        index = RagIndex.model_validate(_without_nulls({**document}))
    except ValidationError as error:
        problems = [problem for details in _first_causes(error) for problem in _problems(details)]
        raise InvalidSpec(problems, origin) from error
    if duplicates := _duplicates(index.spec.sources):
        raise InvalidSpec(duplicates, origin)
    return index


def _without_nulls(value: object) -> object:
    """The API server drops a null where none is allowed, so that the default applies; a file is read the same way."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in value]
    return value


def _duplicates(sources: tuple[SourceSpec, ...]) -> list[FieldProblem]:
    seen: set[str] = set()
    problems = []
    for position, source in enumerate(sources):
        if source.name in seen:
            problems.append(FieldProblem(f"spec.sources[{position}].name", f'a second source named "{source.name}"'))
        seen.add(source.name)
    return problems


def _first_causes(error: ValidationError) -> list[ErrorDetails]:
    """A list whose entries are wrong is reported as too short besides; only the entries are worth telling."""
    every = error.errors()
    places = [details["loc"] for details in every]

    def follows(details: ErrorDetails) -> bool:
        here = details["loc"]
        return details["type"] == "too_short" and any(len(p) > len(here) and p[: len(here)] == here for p in places)

    return [details for details in every if not follows(details)]


def _problems(details: ErrorDetails) -> list[FieldProblem]:
    field = _path(details["loc"])
    if details["type"] == RULES_ERROR:
        violations = cast(tuple[tuple[str, str], ...], details["ctx"]["violations"])
        return [FieldProblem(f"{field}.{below}".strip(".") if below else field, text) for below, text in violations]
    return [FieldProblem(field, _message(details))]


def _path(parts: tuple[int | str, ...]) -> str:
    path = ""
    for part in parts:
        if part == "[key]":  # pydantic's way to say that a mapping's key is wrong, after the key itself
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _message(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown_field(details["loc"])
        case "enum" | "literal_error":
            return f"must be {_one_of(str(context['expected']))}, not {_shown(details['input'])}"
        case "string_pattern_mismatch":
            return f"must be {PATTERN_HINTS[context['pattern']]}, not {_shown(details['input'])}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {_shown(details['input'])}"
        case "less_than_equal":
            return f"must be at most {context['le']}, not {_shown(details['input'])}"
        case "string_too_short" | "too_short":
            return f"must have at least {context['min_length']} {_unit(details)}"
        case "string_too_long" | "too_long":
            return f"must have at most {context['max_length']} {_unit(details)}"
        case "int_type" | "int_from_float" | "int_parsing":
            return f"must be a whole number without quotes, not {_shown(details['input'])}"
        case "bool_type":
            return f"must be true or false without quotes, not {_shown(details['input'])}"
        case "string_type":
            return f"must be text (in quotes if it looks like a number), not {_shown(details['input'])}"
        case "model_type" | "dict_type":
            return f"must be a mapping of fields, not {_shown(details['input'])}"
        case "tuple_type" | "list_type":
            return f'must be a list (lines that begin with "- "), not {_shown(details["input"])}'
        case _:
            return details["msg"]


def _unit(details: ErrorDetails) -> str:
    return "characters" if details["type"].startswith("string") else "entries"


def _one_of(expected: str) -> str:
    return expected.replace("'", "")


def _shown(value: object) -> str:
    """The value as a person wrote it, short enough for one line."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _unknown_field(parts: tuple[int | str, ...]) -> str:
    known = _fields_at(parts[:-1])
    close = difflib.get_close_matches(str(parts[-1]), known, n=1)
    if close:
        return f"unknown field; did you mean {close[0]}?"
    return f"unknown field; known here: {', '.join(known)}" if known else "unknown field; nothing may be set here"


def _fields_at(parts: tuple[int | str, ...]) -> list[str]:
    """The names a person may write at a place of the object, from its own schema."""
    schema = RagIndex.model_json_schema(by_alias=True)
    node: dict[str, Any] = schema
    for part in parts:
        node = node["items"] if isinstance(part, int) else node["properties"][part]
        node = next((option for option in node.get("anyOf", ()) if option.get("type") != "null"), node)
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return list(node.get("properties", {}))
