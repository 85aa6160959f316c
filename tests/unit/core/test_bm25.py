"""BM25: what a term in a passage is worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core import bm25

LENGTHS = st.integers(1, 5000)
COUNTS = st.integers(1, 400)


def test_a_worked_example() -> None:
    # Two of four passages hold the term; ours holds it twice and is of average length.
    assert bm25.idf(4, 2) == pytest.approx(0.6931472)
    norm = bm25.length_norm(100, 100)
    assert norm == pytest.approx(1.2)
    assert bm25.impact(2, norm) == pytest.approx(2 * 2.2 / 3.2)
    assert bm25.score([(0.6931472, 2)], 100, 100) == pytest.approx(0.9530774)


@given(st.integers(1, 10**9), st.data())
def test_a_rarer_term_weighs_more_and_none_weighs_less_than_nothing(chunks: int, data: st.DataObject) -> None:
    containing = data.draw(st.integers(1, chunks))
    assert bm25.idf(chunks, containing - 1) > bm25.idf(chunks, containing) > 0


@given(COUNTS, LENGTHS, st.floats(1, 5000))
def test_an_impact_grows_with_the_count_and_stays_below_its_ceiling(count: int, length: int, average: float) -> None:
    norm = bm25.length_norm(length, average)
    assert 0 < bm25.impact(count, norm) < bm25.K1 + 1
    assert bm25.impact(count + 1, norm) >= bm25.impact(count, norm)


@given(COUNTS, LENGTHS, st.floats(1, 5000))
def test_the_same_count_says_more_in_a_shorter_passage(count: int, length: int, average: float) -> None:
    shorter, longer = bm25.length_norm(length, average), bm25.length_norm(length + 1, average)
    assert bm25.impact(count, shorter) > bm25.impact(count, longer)


def test_counts_beyond_a_byte_are_taken_for_the_most() -> None:
    assert bm25.impact(256, 1.2) == bm25.impact(10_000, 1.2) == bm25.impact(255, 1.2)


def test_no_term_is_no_score() -> None:
    assert bm25.score([], 10, 10) == 0
