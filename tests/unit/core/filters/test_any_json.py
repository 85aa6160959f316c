"""Whatever JSON stands where a filter should: a filter within its bounds, or problems that name their places."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_core.errors import InvalidInput
from ragindex_core.filters import Filter, Operator, matches, parse_filter
from ragindex_core.filters.expression import comparisons, depth
from ragindex_core.filters.wire import DEEPEST, LONGEST_KEY, LONGEST_STRING, MOST_TERMS, MOST_VALUES

EXAMPLES = 20_000 if os.environ.get("RAGINDEX_FAULTS") == "long" else 100

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\0", "\ud800", 10**400]),
)
names = st.one_of(st.sampled_from([*map(str, Operator), "andAll", "orAll", "key", "value"]), st.text(max_size=3))
anything = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=3)),
    max_leaves=20,
)
bodies = st.fixed_dictionaries({"key": st.one_of(st.text(min_size=1, max_size=3), plain), "value": anything})
nearly = st.recursive(
    st.dictionaries(st.sampled_from(list(map(str, Operator))), bodies, min_size=1, max_size=1),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"andAll": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"orAll": st.lists(inner, max_size=3)}),
    ),
    max_leaves=12,
)


def read(raw: object) -> Filter | InvalidInput:
    try:
        return parse_filter(raw)
    except InvalidInput as refused:
        return refused


@settings(max_examples=EXAMPLES, deadline=None)
@given(raw=st.one_of(anything, nearly), metadata=st.dictionaries(st.text(max_size=3), anything, max_size=3))
def test_any_json_is_a_filter_within_bounds_or_refused_by_place(raw: Any, metadata: dict[str, Any]) -> None:
    expression = read(raw)
    if isinstance(expression, InvalidInput):
        assert expression.problems
        assert all(problem.field.startswith("filter") and problem.message for problem in expression.problems)
        return
    assert depth(expression) <= DEEPEST
    terms = list(comparisons(expression))
    assert 1 <= len(terms) <= MOST_TERMS
    for term in terms:
        assert 1 <= len(term.key) <= LONGEST_KEY
        assert 1 <= len(term.values) <= MOST_VALUES
        for value in (term.key, *term.values):
            assert not isinstance(value, str) or ("\0" not in value and len(value.encode()) <= 4 * LONGEST_STRING)
    assert matches(expression, metadata) in (True, False)
