"""The arithmetic of BM25: what a term in a passage is worth.

The database computes the same with the same steps in double precision; what stands here is the definition.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log

K1 = 1.2
B = 0.75

#: A term is counted up to here in one passage: by then its worth has long reached its ceiling, and a count fits a byte.
MAX_FREQUENCY = 255


def idf(chunks: int, containing: int) -> float:
    """The weight of a term that stands in ``containing`` of ``chunks`` passages; never negative."""
    return log(1 + (chunks - containing + 0.5) / (containing + 0.5))


def length_norm(length: int, average_length: float) -> float:
    """What a passage's length does to its counts: K1 for one of average length."""
    return K1 * (1 - B) + K1 * B * length / average_length


def impact(frequency: int, norm: float) -> float:
    """The share of its idf that a term brings to a passage with that ``norm``; between 0 and K1 + 1."""
    counted = min(frequency, MAX_FREQUENCY)
    return counted * (K1 + 1) / (counted + norm)


def score(terms: Iterable[tuple[float, int]], length: int, average_length: float) -> float:
    """BM25 of a passage from (idf, frequency) of each term of the question, added in the order given."""
    norm = length_norm(length, average_length)
    total = 0.0
    for weight, frequency in terms:
        total += weight * impact(frequency, norm)
    return total
