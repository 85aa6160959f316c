"""Reading a filter from JSON: closed, bounded, and each complaint names its place: ``filter.andAll[1].equals.key``.

A node is an object with exactly one member, the operator. The model says so with fields that may be left out rather
than with a union: an error then points at one place instead of at every branch that did not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from ragindex_core.errors import FieldProblem, InvalidInput
from ragindex_core.filters.expression import (
    BUILT_IN,
    ONLY_OPERATORS,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    Operator,
    Scalar,
    comparisons,
    depth,
    is_built_in,
    moment,
    number,
)

DEEPEST = 5
MOST_TERMS = 50
MOST_VALUES = 100  # of one in or notIn
LONGEST_KEY = 100
LONGEST_STRING = 2000


def _problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("ragindex_filter", "{message}", {"message": message})


def _storable(value: str) -> str:
    """No text in the database holds these, and neither can be sent to it."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise _problem("must not hold NUL or a lone surrogate")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _problem("must be a string")
    if len(value) > LONGEST_STRING:
        raise _problem(f"must have at most {LONGEST_STRING} characters")
    return _storable(value)


def _scalar(value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if number(value) is None:
            raise _problem("must be a finite number")
        return value
    if isinstance(value, str):
        return _text(value)
    raise _problem("must be a string, a number or a boolean")


def _orderable(value: object) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _problem("must be a number or a string (dates are RFC 3339 strings)")
    return _scalar(value)


def _known(key: str) -> str:
    if is_built_in(key) and key not in BUILT_IN:
        raise _problem(f"keys that begin with _ are RagIndex's own; it knows {', '.join(BUILT_IN)}")
    return _storable(key)


_STRING = {"type": "string", "maxLength": LONGEST_STRING}
_Key: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY, strict=True), AfterValidator(_known)]
_Scalar: TypeAlias = Annotated[
    Scalar, PlainValidator(_scalar), WithJsonSchema({"anyOf": [_STRING, {"type": "number"}, {"type": "boolean"}]})
]
_Orderable: TypeAlias = Annotated[
    Scalar, PlainValidator(_orderable), WithJsonSchema({"anyOf": [_STRING, {"type": "number"}]})
]
_Text: TypeAlias = Annotated[str, PlainValidator(_text), WithJsonSchema(_STRING)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComparisonWithAny(_Closed):
    """A key of the metadata and the value it is compared with."""

    key: _Key
    value: _Scalar


class ComparisonInOrder(_Closed):
    """A key of the metadata and the number, string or date that its value is above or below."""

    key: _Key
    value: _Orderable


class ComparisonWithText(_Closed):
    """A key of the metadata and a piece of its text."""

    key: _Key
    value: _Text


class ComparisonWithList(_Closed):
    """A key of the metadata and the values it may or may not have."""

    key: _Key
    value: Annotated[list[_Scalar], Field(min_length=1, max_length=MOST_VALUES)]


#: The default of an operator that was not given. It is no value of the field's own type: null is refused.
_ABSENT: Any = None


def _one_operator(schema: dict[str, Any]) -> None:
    schema |= {"minProperties": 1, "maxProperties": 1}
    for field in schema["properties"].values():
        del field["default"]


_ListOfNodes: TypeAlias = "Annotated[list[FilterNode], Field(min_length=1, max_length=MOST_TERMS)]"


class FilterNode(_Closed):
    """One operator: a comparison, or a list of filters that must all hold or of which one must."""

    model_config = ConfigDict(alias_generator=to_camel, json_schema_extra=_one_operator)

    equals: ComparisonWithAny = _ABSENT
    not_equals: ComparisonWithAny = _ABSENT
    greater_than: ComparisonInOrder = _ABSENT
    greater_than_or_equals: ComparisonInOrder = _ABSENT
    less_than: ComparisonInOrder = _ABSENT
    less_than_or_equals: ComparisonInOrder = _ABSENT
    in_: ComparisonWithList = Field(default=_ABSENT, alias="in")
    not_in: ComparisonWithList = _ABSENT
    starts_with: ComparisonWithText = _ABSENT
    string_contains: ComparisonWithText = _ABSENT
    list_contains: ComparisonWithAny = _ABSENT
    and_all: _ListOfNodes = _ABSENT
    or_all: _ListOfNodes = _ABSENT

    @model_validator(mode="after")
    def _has_one_operator(self) -> FilterNode:
        if len(self.model_fields_set) != 1:
            raise _problem(f"must hold exactly one of {', '.join(_OPERATORS)}")
        expression = self.expression()
        if isinstance(expression, Comparison):
            _check_built_in(expression)
        return self

    def expression(self) -> Filter:
        """The filter this is, as the rest of RagIndex sees it."""
        (name,) = self.model_fields_set
        given = getattr(self, name)
        if isinstance(given, list):
            members = tuple(node.expression() for node in given)
            return AllOf(members) if name == "and_all" else AnyOf(members)
        values = tuple(given.value) if isinstance(given, ComparisonWithList) else (given.value,)
        return Comparison(Operator(FilterNode.model_fields[name].alias or name), given.key, values)


_OPERATORS = tuple(field.alias or name for name, field in FilterNode.model_fields.items())


def _check_built_in(comparison: Comparison) -> None:
    allowed = ONLY_OPERATORS.get(comparison.key)
    if allowed and comparison.operator not in allowed:
        raise _problem(f"{comparison.key} can be compared by {', '.join(sorted(allowed))} only")
    if comparison.key == "_modified" and moment(comparison.value) is None:
        raise _problem("_modified is compared with an RFC 3339 date or date-time")


def _bounded(node: FilterNode) -> FilterNode:
    expression = node.expression()
    if depth(expression) > DEEPEST:
        raise _problem(f"must not be nested more than {DEEPEST} deep")
    if sum(1 for _ in comparisons(expression)) > MOST_TERMS:
        raise _problem(f"must not hold more than {MOST_TERMS} comparisons")
    return node


#: What a request's model declares its filter as: the node, and the bounds of the whole.
FilterField: TypeAlias = Annotated[FilterNode, AfterValidator(_bounded)]


class _Request(BaseModel):
    filter: FilterField


def parse_filter(raw: object, path: str = "filter") -> Filter:
    """Raises InvalidInput with every problem and its place below ``path``."""
    try:
        return _Request.model_validate({"filter": raw}).filter.expression()
    except ValidationError as error:
        problems = [FieldProblem(_place(path, detail["loc"][1:]), _message(detail)) for detail in error.errors()]
        raise InvalidInput(problems) from error


def _place(path: str, below: Sequence[int | str]) -> str:
    return path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in below)


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "is not known here"
    if detail["type"] in ("model_type", "model_attributes_type"):
        return "must be an object"
    return detail["msg"]
