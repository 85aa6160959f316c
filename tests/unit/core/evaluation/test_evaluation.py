"""Measures of a ranking: what they are worth at their ends, and that they never leave them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.document import Span
from ragindex_core.evaluation import character_recall, merged, ndcg, percentile, recall

DOCUMENTS = [f"d{number}" for number in range(12)]
rankings = st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=12)
grades = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 3), max_size=12)
spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: Span(pair[0], pair[0] + pair[1])), max_size=8
)


def test_ndcg_by_hand() -> None:
    # One of two relevant documents, in third place: 1/log2(4) of an ideal 1 + 1/log2(3).
    assert ndcg(["a", "b", "c"], {"c": 1, "z": 1}, 10) == pytest.approx(0.5 / (1 + 1 / math.log2(3)))


@given(rankings, grades, st.integers(1, 12))
def test_measures_are_shares(ranking: list[str], graded: dict[str, int], k: int) -> None:
    assert 0.0 <= ndcg(ranking, graded, k) <= 1.0 + 1e-12
    assert 0.0 <= recall(ranking, graded, k) <= 1.0


@given(grades)
def test_the_best_order_is_worth_everything(graded: dict[str, int]) -> None:
    best = sorted((name for name in graded if graded[name] > 0), key=lambda name: -graded[name])
    expected = 1.0 if best else 0.0
    assert ndcg(best, graded, 12) == pytest.approx(expected)
    assert recall(best, graded, 12) == expected


@given(rankings, grades, st.integers(1, 11))
def test_recall_never_falls_as_more_is_looked_at(ranking: list[str], graded: dict[str, int], k: int) -> None:
    assert recall(ranking, graded, k) <= recall(ranking, graded, k + 1)


@given(rankings.filter(lambda ranking: len(ranking) > 1), grades, st.data())
def test_a_better_document_moved_up_never_costs(
    ranking: list[str], graded: dict[str, int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(ranking) - 2))
    upper, lower = ranking[place], ranking[place + 1]
    swapped = [*ranking[:place], lower, upper, *ranking[place + 2 :]]
    better, worse = (swapped, ranking) if graded.get(lower, 0) >= graded.get(upper, 0) else (ranking, swapped)
    assert ndcg(better, graded, 10) >= ndcg(worse, graded, 10) - 1e-12


def characters(of: list[Span]) -> set[int]:
    return {position for span in of for position in range(span.start, span.end)}


@given(spans)
def test_merging_keeps_the_characters_and_leaves_gaps(of: list[Span]) -> None:
    joined = merged(of)
    assert characters(joined) == characters(of)
    assert all(left.end < right.start for left, right in pairwise(joined))


@given(spans, spans)
def test_character_recall_counts_every_character_once(found: list[Span], wanted: list[Span]) -> None:
    needed = characters(wanted)
    expected = len(needed & characters(found)) / len(needed) if needed else 0.0
    assert character_recall({"d": found, "other": wanted}, {"d": wanted}) == pytest.approx(expected)


def test_characters_of_another_document_do_not_count() -> None:
    assert character_recall({"other": [Span(0, 10)]}, {"d": [Span(0, 10)]}) == 0.0


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-6


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 95) == 0.0
