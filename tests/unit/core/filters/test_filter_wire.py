"""What is a filter, and what is refused with which words about which place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from ragindex_core.errors import InvalidInput
from ragindex_core.filters import AllOf, AnyOf, Comparison, FilterField, Operator, parse_filter

ONE = {"equals": {"key": "year", "value": 2024}}


def problems(raw: object) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        parse_filter(raw)
    return {problem.field: problem.message for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("equals", "a"),
        ("notEquals", True),
        ("greaterThan", 1),
        ("greaterThanOrEquals", 1.5),
        ("lessThan", "2024-01-01"),
        ("lessThanOrEquals", -1),
        ("startsWith", "legal/"),
        ("stringContains", "a"),
        ("listContains", "cat"),
    ],
)
def test_every_operator_reads_a_key_and_a_value(name: str, value: Any) -> None:
    assert parse_filter({name: {"key": "k", "value": value}}) == Comparison(Operator(name), "k", (value,))


def test_in_and_not_in_read_a_list() -> None:
    assert parse_filter({"in": {"key": "k", "value": ["a", 1, True]}}) == Comparison(Operator.IN, "k", ("a", 1, True))
    assert parse_filter({"notIn": {"key": "k", "value": [0]}}) == Comparison(Operator.NOT_IN, "k", (0,))


def test_groups_nest() -> None:
    year = Comparison(Operator.EQUALS, "year", (2024,))
    assert parse_filter({"andAll": [ONE, {"orAll": [ONE, ONE]}]}) == AllOf((year, AnyOf((year, year))))


@pytest.mark.parametrize(
    ("raw", "place", "words"),
    [
        pytest.param([], "filter", "must be an object", id="not an object"),
        pytest.param({"like": {"key": "a", "value": 1}}, "filter.like", "not known", id="unknown operator"),
        pytest.param({}, "filter", "exactly one of equals", id="no operator"),
        pytest.param(ONE | {"in": {"key": "a", "value": [1]}}, "filter", "exactly one of", id="two operators"),
        pytest.param({"equals": None}, "filter.equals", "must be an object", id="null is not a comparison"),
        pytest.param({"equals": {"key": "a", "value": 1, "boost": 2}}, "filter.equals.boost", "not known", id="extra"),
        pytest.param({"equals": {"key": "a"}}, "filter.equals.value", "required", id="no value"),
        pytest.param({"equals": {"key": 5, "value": 1}}, "filter.equals.key", "string", id="key of another type"),
        pytest.param({"equals": {"key": "", "value": 1}}, "filter.equals.key", "1 character", id="empty key"),
        pytest.param({"equals": {"key": "k" * 101, "value": 1}}, "filter.equals.key", "100", id="long key"),
        pytest.param({"equals": {"key": "a", "value": [1]}}, "filter.equals.value", "a string, a number", id="a list"),
        pytest.param({"equals": {"key": "a", "value": "x" * 2001}}, "filter.equals.value", "2000", id="long value"),
        pytest.param({"equals": {"key": "a", "value": "\0"}}, "filter.equals.value", "NUL", id="not storable"),
        pytest.param({"equals": {"key": "a\ud800", "value": 1}}, "filter.equals.key", "string", id="lone surrogate"),
        pytest.param({"equals": {"key": "a", "value": float("nan")}}, "filter.equals.value", "finite", id="NaN"),
        pytest.param({"equals": {"key": "a", "value": 10**400}}, "filter.equals.value", "finite", id="huge number"),
        pytest.param(
            {"lessThan": {"key": "a", "value": True}}, "filter.lessThan.value", "number or a string", id="bool"
        ),
        pytest.param(
            {"startsWith": {"key": "a", "value": 1}}, "filter.startsWith.value", "a string", id="not a string"
        ),
        pytest.param({"in": {"key": "a", "value": []}}, "filter.in.value", "at least 1", id="empty list"),
        pytest.param({"in": {"key": "a", "value": [1] * 101}}, "filter.in.value", "at most 100", id="long list"),
        pytest.param({"in": {"key": "a", "value": [1, {}]}}, "filter.in.value[1]", "a string, a number", id="member"),
        pytest.param({"andAll": []}, "filter.andAll", "at least 1", id="empty group"),
        pytest.param({"andAll": [ONE, {"equals": {"value": 1}}]}, "filter.andAll[1].equals.key", "required", id="deep"),
        pytest.param({"equals": {"key": "_page", "value": 1}}, "filter.equals.key", "_id, _source", id="not built in"),
        pytest.param({"startsWith": {"key": "_id", "value": "1"}}, "filter", "_id can be compared by", id="opaque id"),
        pytest.param({"lessThan": {"key": "_modified", "value": "x"}}, "filter", "RFC 3339", id="no date"),
    ],
)
def test_a_problem_names_its_place(raw: object, place: str, words: str) -> None:
    found = problems(raw)
    assert list(found) == [place]
    assert words in found[place]


def test_all_problems_are_told_at_once() -> None:
    assert set(problems({"orAll": [{"equals": {}}, {"like": 1}]})) == {
        "filter.orAll[0].equals.key",
        "filter.orAll[0].equals.value",
        "filter.orAll[1].like",
    }


def nested(levels: int) -> dict[str, Any]:
    return ONE if levels == 1 else {"andAll": [nested(levels - 1)]}


def test_depth_is_bounded() -> None:
    parse_filter(nested(5))
    assert "5 deep" in problems(nested(6))["filter"]


def test_a_filter_that_is_nested_without_end_is_refused_like_any_other() -> None:
    with pytest.raises(InvalidInput):
        parse_filter(nested(400))


def test_the_number_of_comparisons_is_bounded() -> None:
    half = {"orAll": [ONE] * 25}
    parse_filter({"andAll": [half, half]})
    assert "50 comparisons" in problems({"andAll": [half, half, ONE]})["filter"]


def test_the_path_begins_as_the_caller_says() -> None:
    with pytest.raises(InvalidInput, match=r"^searches\[2\]\.filter\.like: "):
        parse_filter({"like": 1}, "searches[2].filter")


def test_the_schema_is_closed_and_never_nullable() -> None:
    schema = TypeAdapter(FilterField).json_schema()
    node = schema["$defs"]["FilterNode"]
    assert node["additionalProperties"] is False
    assert (node["minProperties"], node["maxProperties"]) == (1, 1)
    assert set(node["properties"]) == {*Operator, "andAll", "orAll"}
    assert "null" not in str(schema)
    assert "default" not in str(schema)
