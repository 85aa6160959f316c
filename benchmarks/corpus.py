"""A corpus out of a seed: passages of made-up words as frequent as words are, with vectors that lie as embeddings do.

- Words follow Zipf's law; each topic prefers some, and a document keeps to its topic, so that words come in bursts.
- A vector is a point of few dimensions (its topic's place, its document's, its own) put through a random projection
  into many, with noise: a graph index then finds about as much of the truth as it does of a text model's vectors.
- Metadata divides the documents into a quarter, a tenth, a hundredth, a thousandth, and five of them.

The same seed gives the same corpus, and a larger one begins with the smaller one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ragindex_core.analysis import Analysed, analyse

Vectors = NDArray[np.float32]

DIMENSIONS = 384
CHUNKS_A_DOCUMENT = 10
#: Code points from the start of a passage to the start of the next in its document.
STRIDE = 2000
LANGUAGE = "en"

_SEED = 20_240_917
_WORDS = 30_000
_TOPICS = 256
_TOPIC_WORDS = 400
_TOPIC_SHARE = 0.35
_WORDS_A_CHUNK = (105, 157)
_LATENT = 40
_DOCUMENT_SPREAD, _CHUNK_SPREAD, _NOISE = 0.8, 0.9, 0.45
_SENTENCE = 13  # words
_BLOCK = 200  # documents made at a time


@dataclass(frozen=True, slots=True)
class Passage:
    """One chunk as it is written; ``number`` is its place in the corpus."""

    number: int
    text: str
    analysed: Analysed
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Document:
    number: int
    passages: tuple[Passage, ...]

    @property
    def key(self) -> str:
        return f"{self.number % 100:02}/{self.number:07}.md"

    @property
    def metadata(self) -> dict[str, str | int | bool]:
        given: dict[str, str | int | bool] = {
            "quarter": self.number % 4,
            "tenth": self.number % 10,
            "hundredth": self.number % 100,
            "thousandth": self.number % 1000,
        }
        return given | {"few": True} if self.number % 7 == 3 and self.number < 35 else given


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter on the documents: the metadata's key and value, and how to tell which passages it leaves."""

    name: str
    key: str
    value: int | bool

    def of(self, chunks: int) -> NDArray[np.int64]:
        """The numbers of the passages that match, of a corpus of so many."""
        document = np.arange(chunks) // CHUNKS_A_DOCUMENT
        if self.key == "few":
            return np.flatnonzero((document % 7 == 3) & (document < 35))
        return np.flatnonzero(document % _PARTS[self.key] == self.value)

    @property
    def wire(self) -> dict[str, object]:
        return {"equals": {"key": self.key, "value": self.value}}


_PARTS = {"quarter": 4, "tenth": 10, "hundredth": 100, "thousandth": 1000}
SELECTIONS = (
    Selection("25 %", "quarter", 1),
    Selection("10 %", "tenth", 3),
    Selection("1 %", "hundredth", 7),
    Selection("0.1 %", "thousandth", 9),
    Selection("50 rows", "few", True),
)


@dataclass(frozen=True, slots=True)
class Query:
    """A question as people ask them, and the vector that stands for its embedding."""

    text: str
    vector: Vectors


def as_numbers(query: Query) -> list[float]:
    """Its vector as a client writes it: the digits of single precision and no more."""
    return [float(str(value)) for value in query.vector]


def documents(end: int, first: int = 0) -> Iterator[Document]:
    """The passages ``first`` to ``end`` of the corpus, in their documents."""
    begin, count = first // CHUNKS_A_DOCUMENT, end // CHUNKS_A_DOCUMENT
    for block in range(begin // _BLOCK, -(-count // _BLOCK)):
        start = block * _BLOCK
        yield from islice(_block(block, min(_BLOCK, count - start)), max(begin - start, 0), None)


def terms(first: int, end: int) -> Iterator[Analysed]:
    """The passages of these numbers as the analyser counts them, without text and vectors."""
    size = _BLOCK * CHUNKS_A_DOCUMENT
    for block in range(first // size, -(-end // size)):
        for words in _words(block)[max(first - block * size, 0) : end - block * size]:
            yield _analysed(words)


@lru_cache(maxsize=1)
def vectors(chunks: int) -> Vectors:
    """Those of the first so many passages, a row each."""
    blocks = -(-chunks // (_BLOCK * CHUNKS_A_DOCUMENT))
    return np.concatenate([_vectors(block) for block in range(blocks)])[:chunks]


def queries(count: int) -> list[Query]:
    """Distinct ones, about what the corpus is about."""
    random = np.random.default_rng([_SEED, 3])
    topics = random.integers(_TOPICS, size=count)
    spread = np.hypot(_DOCUMENT_SPREAD, _CHUNK_SPREAD)
    latent = _places().topics[topics] + spread * random.standard_normal((count, _LATENT))
    made = _embedded(latent, random)
    found: dict[str, Vectors] = {}
    for topic, vector in zip(topics, made, strict=True):
        common = _drawn(random, _frequencies(_WORDS), 2)
        telling = _places().words[topic, _drawn(random, _frequencies(_TOPIC_WORDS), 3)]
        words = [vocabulary()[number] for number in (*common, *telling)]
        found.setdefault(" ".join(words) + "?", vector)
    return [Query(text, vector) for text, vector in found.items()]


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """The most frequent first, and short."""
    random = np.random.default_rng([_SEED, 0])
    onsets = ("b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "st", "tr", "pl")
    parts = (onsets, ("a", "e", "i", "o", "u"), ("", "", "n", "r", "l"))
    words: dict[str, None] = {}
    while len(words) < _WORDS:
        syllables = 1 if len(words) < 150 else 2 if len(words) < 6000 else 3
        words.setdefault("".join(part[random.integers(len(part))] for part in parts * syllables))
    return tuple(words)


@dataclass(frozen=True, slots=True)
class _Places:
    topics: NDArray[np.float64]
    words: NDArray[np.int64]
    projection: NDArray[np.float64]


@lru_cache(maxsize=1)
def _places() -> _Places:
    random = np.random.default_rng([_SEED, 1])
    return _Places(
        topics=random.standard_normal((_TOPICS, _LATENT)),
        words=random.integers(100, _WORDS, size=(_TOPICS, _TOPIC_WORDS)),
        projection=random.standard_normal((_LATENT, DIMENSIONS)),
    )


@lru_cache(maxsize=4)
def _frequencies(count: int) -> NDArray[np.float64]:
    """Zipf's law, added up."""
    shares = 1 / (np.arange(count) + 2.7)
    return np.asarray(np.cumsum(shares) / shares.sum())


def _drawn(random: np.random.Generator, frequencies: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    return np.searchsorted(frequencies, random.random(count))


def _topics_of(block: int) -> NDArray[np.int64]:
    return np.random.default_rng([_SEED, 2, block]).integers(_TOPICS, size=_BLOCK)


def _block(block: int, count: int) -> Iterator[Document]:
    rows, words = _vectors(block), _words(block)
    for document in range(count):
        first = document * CHUNKS_A_DOCUMENT
        number = block * _BLOCK + document
        yield Document(
            number,
            tuple(
                Passage(block * _BLOCK * CHUNKS_A_DOCUMENT + i, _sentences(words[i]), _analysed(words[i]), rows[i])
                for i in range(first, first + CHUNKS_A_DOCUMENT)
            ),
        )


def _vectors(block: int) -> Vectors:
    random = np.random.default_rng([_SEED, 4, block])
    place = _places().topics[_topics_of(block)] + _DOCUMENT_SPREAD * random.standard_normal((_BLOCK, _LATENT))
    own = _CHUNK_SPREAD * random.standard_normal((_BLOCK * CHUNKS_A_DOCUMENT, _LATENT))
    return _embedded(np.repeat(place, CHUNKS_A_DOCUMENT, axis=0) + own, random)


def _embedded(latent: NDArray[np.float64], random: np.random.Generator) -> Vectors:
    noise = random.standard_normal((len(latent), DIMENSIONS))
    rows = (latent @ _places().projection) / np.sqrt(_LATENT) + _NOISE * noise
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _words(block: int) -> list[list[int]]:
    """The words of each passage, by their numbers in the vocabulary."""
    random = np.random.default_rng([_SEED, 5, block])
    topics = np.repeat(_topics_of(block), CHUNKS_A_DOCUMENT)
    sizes = random.integers(*_WORDS_A_CHUNK, size=len(topics))
    total = int(sizes.sum())
    general = _drawn(random, _frequencies(_WORDS), total)
    telling = _places().words[np.repeat(topics, sizes), _drawn(random, _frequencies(_TOPIC_WORDS), total)]
    chosen = np.where(random.random(total) < _TOPIC_SHARE, telling, general)
    ends = np.cumsum(sizes)
    return [chosen[end - size : end].tolist() for end, size in zip(ends, sizes, strict=True)]


def _sentences(numbers: list[int]) -> str:
    words = [vocabulary()[number] for number in numbers]
    parts = [" ".join(words[i : i + _SENTENCE]).capitalize() for i in range(0, len(words), _SENTENCE)]
    return ". ".join(parts) + "."


def _analysed(numbers: list[int]) -> Analysed:
    """The same as the analyser makes of the text, for every word is a word to it."""
    stems = _stems()
    row = [stems[number] for number in numbers]
    return Analysed(len(row), dict(Counter(row)), tuple(row))


@lru_cache(maxsize=1)
def _stems() -> tuple[str, ...]:
    return tuple(analyse(word, LANGUAGE)[0].term for word in vocabulary())
