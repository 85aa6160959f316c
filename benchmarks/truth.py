"""What is really nearest, and how much of it an answer holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks import corpus


def nearest(
    queries: NDArray[np.float32], chunks: int, limit: int, among: NDArray[np.int64] | None = None
) -> list[set[int]]:
    """The numbers of the nearest passages to each query, by comparing all of those ``among``, as they are stored."""
    rows = corpus.vectors(chunks) if among is None else corpus.vectors(chunks)[among]
    stored = rows.astype(np.float16).astype(np.float32)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    found = []
    for query in queries:
        scores = stored @ query
        best = np.argsort(-scores)[:limit] if len(scores) <= limit else np.argpartition(-scores, limit)[:limit]
        found.append({int(i if among is None else among[i]) for i in best})
    return found


def recall(answers: Iterable[Sequence[int]], truths: Iterable[set[int]]) -> float:
    """The mean share of the truth that is in the answer."""
    shares = [len(truth & set(answer)) / len(truth) for answer, truth in zip(answers, truths, strict=True)]
    return float(np.mean(shares))
