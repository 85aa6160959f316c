"""One order out of two: the vector arm and the keyword arm.

Both raw scores of every chunk in the union must be known beforehand. A chunk that one arm did not bring still has a
score there, and taking it for nothing would punish it for the depth to which that arm was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

#: Ranks from here on hardly differ; the value of the paper that proposed reciprocal rank fusion.
RRF_K = 60


class RawScores(NamedTuple):
    """Of one chunk: cosine similarity (None without a vector) and BM25 (0 or None when no term matches)."""

    vector: float | None = None
    keyword: float | None = None


class Fused(NamedTuple):
    """``score`` is between 0 and 1 and orders one response; it means nothing across responses."""

    chunk_id: int
    score: float


def fuse_weighted(candidates: Mapping[int, RawScores], vector_weight: int) -> list[Fused]:
    """Min-max normalises each arm over ``candidates`` and adds them; ``vector_weight`` is 0 to 100.

    Where all matching chunks of an arm have one score they count as 1; a chunk that does not match counts as 0.
    """
    _check_weight(vector_weight)
    vector = _normalised({chunk_id: raw.vector for chunk_id, raw in candidates.items()})
    # Without a common term BM25 is 0: a true score, the lowest there is, and at the same time "no match".
    keyword = _normalised({chunk_id: raw.keyword or None for chunk_id, raw in candidates.items()}, floor=0.0)
    share = vector_weight / 100
    return _in_order((chunk_id, share * vector[chunk_id] + (1 - share) * keyword[chunk_id]) for chunk_id in candidates)


def fuse_ranks(vector: Sequence[int], keyword: Sequence[int], vector_weight: int = 50, k: int = RRF_K) -> list[Fused]:
    """Reciprocal rank fusion of two orders of chunk ids, scaled so that first in both arms is 1."""
    _check_weight(vector_weight)
    scores: dict[int, float] = {}
    for order, share in ((vector, vector_weight / 100), (keyword, 1 - vector_weight / 100)):
        for rank, chunk_id in enumerate(order, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + share * (k + 1) / (k + rank)
    return _in_order(scores.items())


def prefer(fused: Iterable[Fused], held: Mapping[int, int], asked: int) -> list[Fused]:
    """The same order within, but chunks that hold more of the ``asked`` identifiers come first: who names E-4012 wants
    what is said of it, and no embedding tells it from E-4013."""
    return _in_order((one.chunk_id, (one.score + held.get(one.chunk_id, 0)) / (1 + asked)) for one in fused)


def _check_weight(vector_weight: int) -> None:
    if not 0 <= vector_weight <= 100:
        raise ValueError(f"vector_weight is {vector_weight}, not within 0 to 100")


def _normalised(scores: Mapping[int, float | None], floor: float | None = None) -> dict[int, float]:
    """Each score between the lowest and the highest; a missing one is 0, and stands for ``floor`` when there is one."""
    matching = [score for score in scores.values() if score is not None]
    if not matching:
        return dict.fromkeys(scores, 0.0)
    low, high = min(matching), max(matching)
    if floor is not None and len(matching) < len(scores):
        low = min(low, floor)
    spread = high - low
    return {
        chunk_id: 0.0 if score is None else (score - low) / spread if spread > 0 else 1.0
        for chunk_id, score in scores.items()
    }


def _in_order(scores: Iterable[tuple[int, float]]) -> list[Fused]:
    return [Fused(chunk_id, score) for chunk_id, score in sorted(scores, key=lambda pair: (-pair[1], pair[0]))]
