"""Search of one revision: the arms, one order out of them, and the chunks as they are shown.

Several statements make one search, unless it is a plain one. Run it in a transaction of isolation level REPEATABLE
READ, so that all of them see one state of the revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_core.document import Span
from ragindex_core.errors import InvalidInput
from ragindex_core.fusion import Fused, RawScores, fuse_ranks, fuse_weighted, prefer
from ragindex_core.object.spec import FusionMethod
from ragindex_db.compiled import Reader, planned_once
from ragindex_db.data_tables import RevisionTables
from ragindex_db.search.arms import Clock, read_arms
from ragindex_db.search.chunks import Surroundings, get_chunks, surroundings
from ragindex_db.search.plain import plain_search
from ragindex_db.search.request import ArmScores, Explanation, Matched, SearchHit, SearchRequest, SearchResult
from ragindex_db.search.vector import (
    Query,
    prepared_query,
)

#: How deep each arm is read when its order is not the last word.
_LEAST_DEPTH = 100
_DEEPER = 4


def search(connection: Reader, request: SearchRequest) -> SearchResult:
    """The ``top_k`` best chunks, sections or documents' chunks; fewer only when no more match."""
    if not (request.uses_vector or request.uses_keyword):
        raise InvalidInput.field("query", f"mode {request.mode} needs something to search for")
    plain = plain_search(request)
    if plain is not None:
        started = perf_counter()
        rows = connection.execute(plain.statement, plain.values).all()
        found = plain.result(rows, (perf_counter() - started) * 1000)
        return found or search_further(connection, plain.further)
    return search_further(connection, request)


def search_further(connection: Reader, request: SearchRequest) -> SearchResult:
    """The same where one statement is not, or was not, enough."""
    query = _query(request)
    clock = Clock()
    with clock.stage("total"):
        hits, explanation = _in_steps(connection, request, query, clock)
    return SearchResult(request.tables.revision_id, hits, clock.milliseconds, explanation)


def _in_steps(
    connection: Reader, request: SearchRequest, query: Query | None, clock: Clock
) -> tuple[tuple[SearchHit, ...], Explanation]:
    depth, rounds = _first_depth(request), 1
    while True:
        read = read_arms(connection, request, query, depth, clock)
        ranked = _preferred(request, _rank(request, read.scores), read.identifiers)
        groups = _grouped(connection, request, ranked, clock) if request.grouped else _single(ranked)
        if len(groups) >= request.top_k or read.exhausted or not request.grouped:
            break
        depth, rounds = depth * _DEEPER, rounds + 1
    explanation = Explanation(
        strategy=read.strategy,
        matching_chunks=read.matching,
        depth=depth,
        rounds=rounds,
        vector_hits=read.vector_hits,
        keyword_hits=read.keyword_hits,
        candidates=len(read.scores),
    )
    return _shown(connection, request, groups[: request.top_k], read.scores, clock), explanation


def _query(request: SearchRequest) -> Query | None:
    if request.vector is None or not request.uses_vector:
        return None
    return prepared_query(request.tables, request.vector, request.distance)


def _first_depth(request: SearchRequest) -> int:
    if request.grouped or (request.uses_vector and request.uses_keyword):
        return max(_LEAST_DEPTH, 2 * request.top_k)
    return request.top_k


def _rank(request: SearchRequest, scores: dict[int, RawScores]) -> list[Fused]:
    if not request.uses_keyword:
        return _best_first({chunk_id: raw.vector for chunk_id, raw in scores.items()})
    if not request.uses_vector:
        return _best_first({chunk_id: raw.keyword for chunk_id, raw in scores.items()})
    if request.fusion is FusionMethod.WEIGHTED:
        return fuse_weighted(scores, request.vector_weight)
    near = _best_first({chunk_id: raw.vector for chunk_id, raw in scores.items()})
    worded = _best_first({chunk_id: raw.keyword or None for chunk_id, raw in scores.items()})
    return fuse_ranks([one.chunk_id for one in near], [one.chunk_id for one in worded], request.vector_weight)


def _preferred(request: SearchRequest, ranked: list[Fused], held: Mapping[int, int]) -> list[Fused]:
    """Where both arms have a say, the vectors must not outvote an identifier that was asked for."""
    if request.keyword is None or not request.keyword.identifiers or not (request.uses_vector and request.uses_keyword):
        return ranked
    return prefer(ranked, held, len(request.keyword.identifiers))


def _best_first(scores: dict[int, float | None]) -> list[Fused]:
    ranked = [Fused(chunk_id, score) for chunk_id, score in scores.items() if score is not None]
    return sorted(ranked, key=lambda one: (-one.score, one.chunk_id))


@dataclass(slots=True)
class _Group:
    """What becomes one hit: ``shown`` is the section of a hierarchical revision, else the chunk itself."""

    shown: int
    best: Fused
    matched: list[Matched] = field(default_factory=list)


def _single(ranked: Sequence[Fused]) -> list[_Group]:
    return [_Group(one.chunk_id, one) for one in ranked]


def _grouped(connection: Reader, request: SearchRequest, ranked: Sequence[Fused], clock: Clock) -> list[_Group]:
    with clock.stage("group"):
        bound = {"chunk_ids": [one.chunk_id for one in ranked]}
        places = {row.id: row for row in connection.execute(_places(request.tables), bound)}
    groups: dict[int, _Group] = {}
    for one in ranked:
        place = places.get(one.chunk_id)
        if place is None:
            continue
        shown = place.section or one.chunk_id if request.hierarchical else one.chunk_id
        group = groups.setdefault(place.document_id if request.group_by_document else shown, _Group(shown, one))
        if request.hierarchical and group.shown == shown:
            group.matched.append(Matched(one.chunk_id, Span(place.span_start, place.span_end), one.score))
    return list(groups.values())


@lru_cache(maxsize=1024)
def _places(tables: RevisionTables) -> Select[Any]:
    chunk = tables.chunk.c
    chunk_ids = sa.bindparam("chunk_ids", type_=ARRAY(sa.BigInteger))
    places = sa.select(chunk.id, chunk.document_id, chunk.section, chunk.span_start, chunk.span_end)
    return planned_once(places.where(chunk.id == sa.any_(chunk_ids)))


def _shown(
    connection: Reader,
    request: SearchRequest,
    groups: Sequence[_Group],
    scores: dict[int, RawScores],
    clock: Clock,
) -> tuple[SearchHit, ...]:
    """Texts come last, and only of what is shown."""
    if not groups:
        return ()
    with clock.stage("fetch"):
        chunks = get_chunks(connection, request.tables, [group.shown for group in groups])
    beside: dict[int, Surroundings] = {}
    if request.neighbours:
        with clock.stage("neighbours"):
            beside = surroundings(connection, request.tables, chunks, request.neighbours)
    by_id = {group.shown: group for group in groups}
    hits = []
    for chunk in chunks:
        group = by_id[chunk.chunk_id]
        raw = scores[group.best.chunk_id]
        hits.append(
            SearchHit(
                chunk=chunk,
                score=group.best.score,
                scores=ArmScores(raw.vector, raw.keyword),
                matched=tuple(group.matched),
                surroundings=beside.get(chunk.chunk_id),
            )
        )
    return tuple(hits)
