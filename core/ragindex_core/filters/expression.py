"""A filter after parsing: comparisons, joined by all or any."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool


class Operator(StrEnum):
    EQUALS = "equals"
    NOT_EQUALS = "notEquals"
    GREATER_THAN = "greaterThan"
    GREATER_THAN_OR_EQUALS = "greaterThanOrEquals"
    LESS_THAN = "lessThan"
    LESS_THAN_OR_EQUALS = "lessThanOrEquals"
    IN = "in"
    NOT_IN = "notIn"
    STARTS_WITH = "startsWith"
    STRING_CONTAINS = "stringContains"
    LIST_CONTAINS = "listContains"

    @property
    def opposite(self) -> Operator | None:
        """Of ``notEquals`` and ``notIn``: what must not hold."""
        return _OPPOSITES.get(self)


_OPPOSITES = {Operator.NOT_EQUALS: Operator.EQUALS, Operator.NOT_IN: Operator.IN}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``values`` has one member, for ``in`` and ``notIn`` any number."""

    operator: Operator
    key: str
    values: tuple[Scalar, ...]

    @property
    def value(self) -> Scalar:
        return self.values[0]


@dataclass(frozen=True, slots=True)
class AllOf:
    members: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    members: tuple[Filter, ...]


Filter: TypeAlias = Comparison | AllOf | AnyOf

#: What every document has, whatever its author wrote: all are strings.
BUILT_IN = {
    "_id": "the document's id",
    "_source": "the name of the source it came from",
    "_key": "its path or key within that source",
    "_uri": "its address",
    "_title": "its title",
    "_language": "its language, as ISO 639-1",
    "_mediaType": "its media type",
    "_modified": "when its source says that it last changed: a date",
}

_EQUALITY = frozenset({Operator.EQUALS, Operator.NOT_EQUALS, Operator.IN, Operator.NOT_IN})
_ORDER = frozenset(
    {Operator.GREATER_THAN, Operator.GREATER_THAN_OR_EQUALS, Operator.LESS_THAN, Operator.LESS_THAN_OR_EQUALS}
)
#: An id is opaque, and a moment is written in many ways.
ONLY_OPERATORS = {"_id": _EQUALITY, "_modified": _ORDER}


def is_built_in(key: str) -> bool:
    return key.startswith("_")


def comparisons(expression: Filter) -> Iterator[Comparison]:
    if isinstance(expression, Comparison):
        yield expression
    else:
        for member in expression.members:
            yield from comparisons(member)


def depth(expression: Filter) -> int:
    return 1 if isinstance(expression, Comparison) else 1 + max(map(depth, expression.members))


def number(value: object) -> float | None:
    """``value`` as the one kind of number there is, or None for what is not a number that can be compared."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(value: object) -> float | None:
    """Seconds since 1970 of an RFC 3339 date or date-time; None for anything else, a leap second included."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return None
    try:
        parsed = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    return ((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - _EPOCH).total_seconds()
