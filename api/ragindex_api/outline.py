"""The OpenAPI document as a reader wants it, for the page that the service shows and the reference in ``docs/``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter, or a member of an object."""

    name: str
    type: str
    needed: bool
    description: str


@dataclass(frozen=True, slots=True)
class Reply:
    status: str
    description: str
    media_types: tuple[str, ...]
    schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[tuple[str, Row], ...]  # with where it stands: path, query, header
    bodies: tuple[tuple[str, str], ...]  # media type and schema
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    description: str
    members: tuple[Row, ...]


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(method, path, item[method])


def schemas(document: Mapping[str, Any]) -> Iterator[Schema]:
    for name, schema in document["components"]["schemas"].items():
        needed = set(schema.get("required", ()))
        members = tuple(
            Row(member, kind(of), member in needed, of.get("description", ""))
            for member, of in schema.get("properties", {}).items()
        )
        yield Schema(name, schema.get("description", ""), members)


def kind(schema: Mapping[str, Any]) -> str:
    """A type in a few words: ``integer, 1 to 100``, ``list of Citation``, ``string or null``."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(kind(option) for option in options))
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    name = str(schema.get("type", "any"))
    if name == "array":
        return f"list of {kind(schema.get('items', {}))}{_within(schema, 'minItems', 'maxItems', ' items')}"
    if name == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {kind(schema['additionalProperties'])}"
    if name == "string":
        return f"{name}{_within(schema, 'minLength', 'maxLength', ' characters')}"
    return f"{name}{_within(schema, 'minimum', 'maximum', '')}"


def _within(schema: Mapping[str, Any], least: str, most: str, unit: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low}{unit}"
    return f", {low}–{high}{unit}" if low is not None else f", at most {high}{unit}"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    parameters = tuple(
        (
            each["in"],
            Row(each["name"], kind(each["schema"]), each.get("required", False), each.get("description", "")),
        )
        for each in operation.get("parameters", ())
    )
    content = operation.get("requestBody", {}).get("content", {})
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=parameters,
        bodies=tuple((media_type, kind(each.get("schema", {}))) for media_type, each in content.items()),
        replies=tuple(_reply(status, reply) for status, reply in sorted(operation["responses"].items())),
    )


def _reply(status: str, reply: Mapping[str, Any]) -> Reply:
    content = reply.get("content", {})
    shown = tuple(dict.fromkeys(kind(each.get("schema", {})) for each in content.values()))
    return Reply(status, reply.get("description", ""), tuple(content), shown)
