"""Which metadata a filter matches, in Python: the definition that every store's own translation is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from ragindex_core.filters.expression import AllOf, AnyOf, Comparison, Filter, Operator, moment, number

_COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.GREATER_THAN: gt,
    Operator.GREATER_THAN_OR_EQUALS: ge,
    Operator.LESS_THAN: lt,
    Operator.LESS_THAN_OR_EQUALS: le,
}


def matches(expression: Filter, metadata: Mapping[str, object]) -> bool:
    """``metadata`` holds the author's keys and, for filters that name them, the built-in ones."""
    match expression:
        case AllOf(members):
            return all(matches(member, metadata) for member in members)
        case AnyOf(members):
            return any(matches(member, metadata) for member in members)
        case Comparison():
            return _holds(expression, metadata.get(expression.key))


def _holds(comparison: Comparison, found: object) -> bool:
    operator, wanted = comparison.operator, comparison.value
    if operator in (Operator.EQUALS, Operator.IN):
        return any(_same(found, value) for value in comparison.values)
    if operator in (Operator.NOT_EQUALS, Operator.NOT_IN):
        return not any(_same(found, value) for value in comparison.values)
    if operator is Operator.LIST_CONTAINS:
        return isinstance(found, list) and any(_same(member, wanted) for member in found)
    if operator is Operator.STARTS_WITH:
        return isinstance(found, str) and isinstance(wanted, str) and found.startswith(wanted)
    if operator is Operator.STRING_CONTAINS:
        members = found if isinstance(found, list) else [found]
        return any(isinstance(member, str) and isinstance(wanted, str) and wanted in member for member in members)
    return _in_order(_COMPARE[operator], found, wanted)


def _same(found: object, wanted: object) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, str) or isinstance(wanted, str):
        return isinstance(found, str) and found == wanted
    left, right = number(found), number(wanted)
    return left is not None and left == right


def _in_order(compare: Callable[[Any, Any], bool], found: object, wanted: object) -> bool:
    for comparable in (moment, number):
        right = comparable(wanted)
        if right is not None:
            left = comparable(found)
            return left is not None and compare(left, right)
    return isinstance(found, str) and isinstance(wanted, str) and compare(found, wanted)
