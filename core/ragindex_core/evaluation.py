"""How good a ranking is: measures over what was found and what should have been.

A ranking names documents, best first, each at most once. Relevance is a grade above zero; what is not graded is not
relevant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ragindex_core.document import Span


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Discounted gain of the first ``k``, as a share of what the best possible order would have; grades are gains."""
    best = _discounted(sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k])
    if best == 0.0:
        return 0.0
    return _discounted([max(grades.get(document, 0), 0) for document in ranking[:k]]) / best


def _discounted(gains: Sequence[int]) -> float:
    return math.fsum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def recall(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The share of relevant documents among the first ``k``."""
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:k])) / len(relevant) if relevant else 0.0


def character_recall(found: Mapping[str, Iterable[Span]], wanted: Mapping[str, Iterable[Span]]) -> float:
    """The share of the wanted characters that lie in what was found; spans by document, a character counts once."""
    total = hit = 0
    for document, spans in wanted.items():
        needed = merged(spans)
        total += sum(map(len, needed))
        hit += _shared(needed, merged(found.get(document, ())))
    return hit / total if total else 0.0


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same characters in spans that neither overlap nor touch, in their order."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return [span for span in joined if len(span)]


def _shared(left: Sequence[Span], right: Sequence[Span]) -> int:
    """How many characters two merged lists have in common."""
    shared = i = j = 0
    while i < len(left) and j < len(right):
        shared += max(0, min(left[i].end, right[j].end) - max(left[i].start, right[j].start))
        if left[i].end < right[j].end:
            i += 1
        else:
            j += 1
    return shared


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least ``percent`` of them do not exceed."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]
