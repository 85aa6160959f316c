"""What the vector arm and the keyword arm bring, each chunk with the raw scores of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row, Select

from ragindex_core.analysis import KeywordQuery
from ragindex_core.fusion import RawScores
from ragindex_core.object.spec import Distance
from ragindex_db import keyword
from ragindex_db.beside import both
from ragindex_db.compiled import Reader, planned_once
from ragindex_db.data_tables import RevisionTables
from ragindex_db.keyword import Ranking
from ragindex_db.keyword.encoding import term_id
from ragindex_db.keyword.question import CHUNK_IDS, fenced, frequencies
from ragindex_db.search.filter_sql import matching_documents
from ragindex_db.search.request import SearchRequest
from ragindex_db.search.vector import (
    FilterIn,
    Query,
    Strategy,
    VectorHits,
    distance_to_query,
    score_of,
    search_vectors,
)


@dataclass(slots=True)
class Clock:
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + (perf_counter() - started) * 1000


@dataclass(frozen=True, slots=True)
class Arms:
    """``exhausted``: reading deeper brings nothing more. ``identifiers``: how many of those that were asked for, and
    that few chunks hold, a chunk holds."""

    scores: dict[int, RawScores]
    exhausted: bool
    strategy: Strategy | None = None
    matching: int | None = None
    vector_hits: int | None = None
    keyword_hits: int | None = None
    identifiers: Counter[int] = field(default_factory=Counter)


def read_arms(reader: Reader, request: SearchRequest, query: Query | None, depth: int, clock: Clock) -> Arms:
    words = request.keyword if request.uses_keyword else None
    if words is None or query is None:
        near = None if query is None else _near(reader, request, query, depth, clock)
        worded = None if words is None else _worded(reader, request, words, depth, clock)
        scores = {} if near is None else {hit.chunk_id: RawScores(hit.score, None) for hit in near.hits}
        scores |= {} if worded is None else {hit.chunk_id: RawScores(None, hit.score) for hit in worded.hits}
        return _arms(scores, depth, near, worded)
    asked = _Asked(request, query, words, Identifiers(words, request.top_k))
    worded_best, (nearest, measured) = both(
        reader,
        lambda one: _worded(one, request, words, depth, clock),
        lambda other: _near_and_measured(other, asked, depth, clock),
    )
    return _completed(reader, asked, depth, nearest, measured, worded_best, clock)


def _arms(
    scores: dict[int, RawScores],
    depth: int,
    near: VectorHits | None,
    worded: Ranking | None,
    identifiers: Counter[int] | None = None,
) -> Arms:
    return Arms(
        scores=scores,
        exhausted=all(len(arm.hits) < depth for arm in (near, worded) if arm is not None),
        strategy=None if near is None else near.strategy,
        matching=None if near is None else near.matching,
        vector_hits=None if near is None else len(near.hits),
        keyword_hits=None if worded is None else len(worded.hits),
        identifiers=identifiers or Counter(),
    )


def _near(reader: Reader, request: SearchRequest, query: Query, depth: int, clock: Clock) -> VectorHits:
    within = FilterIn(request.index_id, request.filter) if request.filter is not None else None
    with clock.stage("vector"):
        return search_vectors(
            reader,
            request.tables,
            query,
            depth,
            within=within,
            distance=request.distance,
            ef_search=request.ef_search,
            has_index=request.has_index,
            broad=request.broad,
        )


def _worded(reader: Reader, request: SearchRequest, words: KeywordQuery, depth: int, clock: Clock) -> Ranking:
    documents = matching_documents(request.index_id, request.filter) if request.filter is not None else None
    with clock.stage("keyword"):
        return keyword.rank(reader, request.tables.keyword, words, depth, documents)


@dataclass(frozen=True, slots=True)
class _Asked:
    request: SearchRequest
    query: Query
    words: KeywordQuery
    identifiers: Identifiers

    def measures(self, reader: Reader, chunk_ids: list[int]) -> Sequence[Row[Any]]:
        """What the scores of these chunks by both arms are made of."""
        if not chunk_ids:
            return []
        terms = [term_id(term) for term in (*self.words.terms, *self.identifiers.asked)]
        bound = {"query": self.query, "chunk_ids": chunk_ids, "terms": terms}
        rows: Sequence[Row[Any]] = reader.execute(_measures(self.request.tables, self.request.distance), bound).all()
        return rows


def _near_and_measured(
    reader: Reader, asked: _Asked, depth: int, clock: Clock
) -> tuple[VectorHits, Sequence[Row[Any]]]:
    """The vector arm is done first, and uses the time until the other one is."""
    near = _near(reader, asked.request, asked.query, depth, clock)
    return near, asked.measures(reader, sorted(hit.chunk_id for hit in near.hits))


def _completed(
    reader: Reader,
    asked: _Asked,
    depth: int,
    near: VectorHits,
    measured: Sequence[Row[Any]],
    worded: Ranking,
    clock: Clock,
) -> Arms:
    """What one arm brought is scored by the other too: a chunk it did not reach is not one that scores nothing."""
    vector: dict[int, float | None] = {hit.chunk_id: hit.score for hit in near.hits}
    word = {hit.chunk_id: hit.score for hit in worded.hits}
    with clock.stage("scores"):
        rest = asked.measures(reader, sorted(word.keys() - vector.keys()))
    terms = len(asked.words.terms)
    for row in (*measured, *rest):
        found = row.frequencies or ()
        asked.identifiers.note(row.chunk_id, found[terms:])
        if row.chunk_id not in vector and row.distance is not None:
            vector[row.chunk_id] = score_of(row.distance, asked.request.distance)
        if row.chunk_id not in word and row.length is not None:
            word[row.chunk_id] = worded.facts.score(row.length, found[:terms])
    scores = {one: RawScores(vector.get(one), word.get(one, 0.0)) for one in vector.keys() | word.keys()}
    return _arms(scores, depth, near, worded, asked.identifiers.held())


@lru_cache(maxsize=1024)
def _measures(tables: RevisionTables, distance: Distance) -> Select[Any]:
    """The distance of some chunks, and how often each has which term."""
    asked = sa.func.unnest(CHUNK_IDS).table_valued(sa.column("chunk_id", sa.BigInteger)).render_derived()
    vector, terms = tables.vector, tables.keyword.terms
    far = sa.select(distance_to_query(tables, vector, distance).label("distance"))
    near = fenced(far.where(vector.c.chunk_id == asked.c.chunk_id), "near")
    counted = sa.select(terms.c.length, frequencies(tables.keyword).label("frequencies"))
    worded = fenced(counted.where(terms.c.chunk_id == asked.c.chunk_id), "worded")
    return planned_once(
        sa.select(asked.c.chunk_id, near.c.distance, worded.c.length, worded.c.frequencies).select_from(
            asked.join(near, sa.true(), isouter=True).join(worded, sa.true(), isouter=True)
        )
    )


_FEW_HOLDERS = 10


class Identifiers:
    """Which chunks hold those that were asked for."""

    def __init__(self, words: KeywordQuery, top_k: int) -> None:
        self.asked = words.identifiers
        self._holders: list[list[int]] = [[] for _ in self.asked]
        self._few = max(top_k, _FEW_HOLDERS)

    def note(self, chunk_id: int, frequencies: Sequence[int | None]) -> None:
        for holders, frequency in zip(self._holders, frequencies, strict=False):
            if frequency:
                holders.append(chunk_id)

    def held(self) -> Counter[int]:
        """What many hold is a word like any other."""
        few: Iterable[list[int]] = (holders for holders in self._holders if len(holders) <= self._few)
        return Counter(chunk_id for holders in few for chunk_id in holders)
