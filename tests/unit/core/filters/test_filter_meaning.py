"""Which metadata a filter matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.filters import AllOf, AnyOf, Comparison, Operator, matches, moment, number, parse_filter

METADATA: Mapping[str, Any] = {
    "year": 2024,
    "score": 1.0,
    "draft": True,
    "title": "Ärger im Büro",
    "tags": ["cat", "catfish"],
    "due": "2024-05-01T12:00:00+02:00",
    "day": "2024-05-01",
    "code": "10",
}


def holds(name: str, key: str, value: Any) -> bool:
    return matches(parse_filter({name: {"key": key, "value": value}}), METADATA)


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        pytest.param("equals", "year", 2024, True, id="equal numbers"),
        pytest.param("equals", "year", 2024.0, True, id="one type of number"),
        pytest.param("equals", "score", True, False, id="a boolean is not a number"),
        pytest.param("equals", "draft", 1, False, id="a number is not a boolean"),
        pytest.param("equals", "code", 10, False, id="a string is not a number"),
        pytest.param("equals", "title", "ärger im büro", False, id="case counts"),
        pytest.param("equals", "tags", "cat", False, id="a list equals nothing"),
        pytest.param("equals", "due", "2024-05-01T10:00:00Z", False, id="dates are equal as strings"),
        pytest.param("in", "year", ["2024", 2024], True, id="one of several types"),
        pytest.param("notIn", "year", [1, 2], True, id="none of them"),
        pytest.param("notEquals", "code", 10, True, id="another type is not equal"),
        pytest.param("notEquals", "tags", "cat", True, id="a list is not equal"),
        pytest.param("greaterThan", "year", 2023.5, True, id="above"),
        pytest.param("greaterThan", "year", 2024, False, id="not above itself"),
        pytest.param("greaterThanOrEquals", "year", 2024, True, id="not below itself"),
        pytest.param("lessThan", "code", 11, False, id="numbers are not compared with strings"),
        pytest.param("lessThan", "code", "9", True, id="strings by code point"),
        pytest.param("lessThan", "title", "Z", False, id="not by the alphabet of a language"),
        pytest.param("greaterThan", "draft", 0, False, id="booleans have no order"),
        pytest.param("lessThan", "due", "2024-05-01T10:30:00Z", True, id="moments, whatever the offset"),
        pytest.param("lessThanOrEquals", "due", "2024-05-01T10:00:00Z", True, id="the same moment"),
        pytest.param("greaterThan", "due", "2024-05-01", True, id="a date is its midnight in UTC"),
        pytest.param("greaterThanOrEquals", "day", "2024-05-01T00:00:00Z", True, id="in both directions"),
        pytest.param("greaterThan", "title", "2024-05-01", False, id="a date is not compared with a string"),
        pytest.param("greaterThan", "day", "2024", True, id="what is no date compares strings"),
        pytest.param("startsWith", "title", "Ärger", True, id="start"),
        pytest.param("startsWith", "tags", "cat", False, id="a list starts with nothing"),
        pytest.param("stringContains", "title", "im", True, id="within a string"),
        pytest.param("stringContains", "tags", "fish", True, id="within a member"),
        pytest.param("stringContains", "year", "20", False, id="a number contains nothing"),
        pytest.param("listContains", "tags", "cat", True, id="a member"),
        pytest.param("listContains", "tags", "fish", False, id="part of a member"),
        pytest.param("listContains", "title", "im", False, id="a string is no list"),
    ],
)
def test_meaning(name: str, key: str, value: Any, expected: bool) -> None:
    assert holds(name, key, value) is expected


@pytest.mark.parametrize("operator", list(Operator))
def test_a_missing_key_fails_everything_but_the_negations(operator: Operator) -> None:
    value = ["x"] if operator in (Operator.IN, Operator.NOT_IN) else "x"
    assert holds(operator, "absent", value) is (operator in (Operator.NOT_EQUALS, Operator.NOT_IN))


values = st.one_of(st.text(max_size=3), st.integers(-3, 3), st.floats(-3, 3), st.booleans())


@given(st.dictionaries(st.sampled_from("ab"), values | st.lists(values, max_size=3)), values)
def test_negations_are_opposites(metadata: dict[str, Any], value: Any) -> None:
    for positive, negative in ((Operator.EQUALS, Operator.NOT_EQUALS), (Operator.IN, Operator.NOT_IN)):
        assert matches(Comparison(positive, "a", (value,)), metadata) is not matches(
            Comparison(negative, "a", (value,)), metadata
        )


def test_groups() -> None:
    right, wrong = (Comparison(Operator.EQUALS, "year", (year,)) for year in (2024, 1))
    assert matches(AllOf((right, right)), METADATA)
    assert not matches(AllOf((right, wrong)), METADATA)
    assert matches(AnyOf((wrong, right)), METADATA)
    assert not matches(AnyOf((wrong, wrong)), METADATA)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01t00:00:01.25z", 1.25),
        ("1970-01-01 01:00:00+01:00", 0.0),
        ("1969-12-31T23:59:59Z", -1.0),
        ("0001-01-01T00:00:00+23:59", -62135683140.0),
    ],
)
def test_dates_are_moments(text: str, seconds: float) -> None:
    assert moment(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-13-01", "2024-02-30", "20240101", "2024-W01-1", "2024-01-01T10:00", "٢٠٢٤-01-01", 5],
)
def test_nothing_else_is_a_date(text: object) -> None:
    assert moment(text) is None


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 10**400])
def test_what_is_not_a_number_that_can_be_compared(value: object) -> None:
    assert number(value) is None
