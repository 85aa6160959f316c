"""One order out of two arms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.fusion import Fused, RawScores, fuse_ranks, fuse_weighted, prefer

# Scores as they come: not so close to each other that their difference underflows.
COSINES = st.integers(-1000, 1000).map(lambda n: n / 1000)
BM25 = st.integers(0, 40_000).map(lambda n: n / 1000)
CANDIDATES = st.dictionaries(
    st.integers(1, 10**9), st.builds(RawScores, vector=st.none() | COSINES, keyword=st.none() | BM25), max_size=30
)
WEIGHTS = st.integers(0, 100)


def by_id(fused: list[Fused]) -> dict[int, float]:
    return {one.chunk_id: one.score for one in fused}


def test_a_worked_example() -> None:
    candidates = {1: RawScores(0.9, 0.0), 2: RawScores(0.5, 10.0), 3: RawScores(0.7, 5.0)}
    assert by_id(fuse_weighted(candidates, 70)) == pytest.approx({1: 0.7, 3: 0.35 + 0.15, 2: 0.3})
    assert [one.chunk_id for one in fuse_weighted(candidates, 70)] == [1, 3, 2]


def test_where_all_matches_score_alike_they_count_as_one() -> None:
    assert by_id(fuse_weighted({1: RawScores(0.5, 3.0), 2: RawScores(0.5, 3.0)}, 70)) == {1: 1.0, 2: 1.0}


def test_no_match_counts_as_nothing() -> None:
    candidates = {1: RawScores(0.5, 3.0), 2: RawScores(0.5, 0.0), 3: RawScores(None, None)}
    assert by_id(fuse_weighted(candidates, 50)) == {1: 1.0, 2: 0.5, 3: 0.0}


def test_a_keyword_match_beside_none_keeps_its_share_of_the_best() -> None:
    candidates = {1: RawScores(keyword=8.0), 2: RawScores(keyword=2.0), 3: RawScores(keyword=0.0)}
    assert by_id(fuse_weighted(candidates, 0)) == {1: 1.0, 2: 0.25, 3: 0.0}


def test_equal_scores_are_ordered_by_chunk() -> None:
    assert [one.chunk_id for one in fuse_weighted({9: RawScores(0.1, 1), 3: RawScores(0.1, 1)}, 40)] == [3, 9]


@pytest.mark.parametrize("weight", [-1, 101])
def test_a_weight_out_of_range_is_refused(weight: int) -> None:
    with pytest.raises(ValueError, match="vector_weight"):
        fuse_weighted({}, weight)


@given(CANDIDATES, WEIGHTS)
def test_every_candidate_comes_back_once_in_order_with_a_share_of_one(
    candidates: dict[int, RawScores], weight: int
) -> None:
    fused = fuse_weighted(candidates, weight)
    assert sorted(one.chunk_id for one in fused) == sorted(candidates)
    assert all(0 <= one.score <= 1 + 1e-12 for one in fused)
    assert fused == sorted(fused, key=lambda one: (-one.score, one.chunk_id))


@given(CANDIDATES)
def test_at_either_end_one_arm_decides_alone(candidates: dict[int, RawScores]) -> None:
    def order(scores: dict[int, float]) -> list[int]:
        return sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))

    keyword = {chunk_id: raw.keyword or 0.0 for chunk_id, raw in candidates.items()}
    # Of the matches the lowest may fall to the level of no match, so only the order of the scores can be compared.
    fused = by_id(fuse_weighted(candidates, 0))
    assert [keyword[chunk_id] for chunk_id in order(keyword)] == sorted(keyword.values(), reverse=True)
    for a in candidates:
        for b in candidates:
            if keyword[a] > keyword[b]:
                assert fused[a] > fused[b]


@given(CANDIDATES, WEIGHTS, st.integers(1, 9), COSINES)
def test_scale_and_origin_of_an_arm_do_not_matter(
    candidates: dict[int, RawScores], weight: int, scale: int, shift: float
) -> None:
    moved = {
        chunk_id: RawScores(
            None if raw.vector is None else raw.vector * scale + shift,
            None if raw.keyword is None else raw.keyword * scale,
        )
        for chunk_id, raw in candidates.items()
    }
    assert by_id(fuse_weighted(moved, weight)) == pytest.approx(by_id(fuse_weighted(candidates, weight)), abs=1e-9)


def test_first_in_both_arms_is_one_by_rank() -> None:
    assert fuse_ranks([5, 7], [5, 9]) == [
        Fused(5, 1.0),
        Fused(7, pytest.approx(0.5 * 61 / 62)),  # type: ignore[arg-type]
        Fused(9, pytest.approx(0.5 * 61 / 62)),  # type: ignore[arg-type]
    ]


@given(st.lists(st.integers(), unique=True), st.lists(st.integers(), unique=True), WEIGHTS)
def test_rank_fusion_keeps_the_union_and_rewards_both_arms(vector: list[int], keyword: list[int], weight: int) -> None:
    fused = by_id(fuse_ranks(vector, keyword, weight))
    assert fused.keys() == set(vector) | set(keyword)
    for chunk_id in set(vector) & set(keyword):
        alone = by_id(fuse_ranks(vector, [], weight))[chunk_id]
        assert fused[chunk_id] >= alone


def test_what_holds_more_of_the_identifiers_comes_first_and_order_within_stays() -> None:
    fused = [Fused(1, 0.9), Fused(2, 0.5), Fused(3, 0.4), Fused(4, 0.1)]
    preferred = prefer(fused, {3: 1, 4: 1}, asked=1)
    assert [one.chunk_id for one in preferred] == [3, 4, 1, 2]
    assert all(0 <= one.score <= 1 for one in preferred)
