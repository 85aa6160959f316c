"""How the corpus of objects is written down: the least object that works, and what is changed of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

#: Stands for "take this field away", where a value would stand.
ABSENT = object()

LEAST: Object = {
    "apiVersion": "ragindex.io/v1alpha1",
    "kind": "RagIndex",
    "metadata": {"name": "handbook"},
    "spec": {
        "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
        "sources": [{"name": "docs", "directory": {"path": "docs"}}],
    },
}


def changed(changes: Mapping[str, Any], base: Object = LEAST) -> Object:
    """The base with some fields set, each named by its path: ``spec.sources.0.name``."""
    result = copy.deepcopy(base)
    for path, value in changes.items():
        node: Any = result
        *parents, last = path.split(".")
        for part in parents:
            node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
        if value is ABSENT:
            del node[last]
        else:
            node[int(last) if last.isdigit() else last] = copy.deepcopy(value)
    return result


@dataclass(frozen=True, slots=True)
class Invalid:
    """An object that is refused at ``field``.

    A rule is refused with the same ``message`` by the API server and locally. Where the schema itself refuses,
    ``message`` is what the API server says, and each has its own words.
    """

    name: str
    changes: Mapping[str, Any]
    field: str
    message: str
    rule: bool = False
    #: Where the local reader sends a person, if that is another place.
    local_field: str = ""

    @property
    def body(self) -> Object:
        return changed(self.changes)

    @property
    def strict(self) -> bool:
        """An unknown field: refused before the object is looked at, and named by its path."""
        return self.message.startswith("unknown field")


@dataclass(frozen=True, slots=True)
class Edit:
    """Two objects, each fine by itself; that the second follows the first is refused."""

    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Valid:
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> Object:
        return changed(self.changes)


def bad(field: str, value: Any, message: str, name: str = "", **more: Any) -> Invalid:
    """The field itself holds a wrong value."""
    return Invalid(name or f"{field} {_shown(value)}", {_path(field): value}, field, message, **more)


def rule(name: str, changes: Mapping[str, Any], field: str, message: str, **more: Any) -> Invalid:
    return Invalid(name, changes, field, message, rule=True, **more)


def unknown(field: str, value: Any = "x") -> Invalid:
    return Invalid(f"{field} unknown", {_path(field): value}, field, f'unknown field "{field}"')


def required(field: str, changes: Mapping[str, Any] | None = None) -> Invalid:
    """The field is left out, of the base or of what the changes make."""
    return Invalid(f"{field} left out", changes or {_path(field): ABSENT}, field, "Required value")


def number(field: str, low: int, high: int, others: Mapping[str, Any] | None = None) -> Sequence[Invalid]:
    """A whole number: below, above, in quotes, broken."""
    more = others or {}
    cases = [
        bad(field, low - 1, f"should be greater than or equal to {low}"),
        bad(field, high + 1, f"should be less than or equal to {high}"),
        bad(field, str(low), "must be of type integer"),
        bad(field, low + 0.5, "must be of type integer"),
    ]
    return [Invalid(c.name, {**more, **c.changes}, c.field, c.message) for c in cases]


def words(field: str, *allowed: str) -> Sequence[Invalid]:
    """One of some words: another one, and the right one in the wrong case."""
    listed = ", ".join(f'"{word}"' for word in allowed)
    return [
        bad(field, "Another", f"supported values: {listed}"),
        bad(field, allowed[0].swapcase(), f"supported values: {listed}"),
    ]


def _path(field: str) -> str:
    return field.replace("[", ".").replace("]", "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:30]}… ({len(text)})"
