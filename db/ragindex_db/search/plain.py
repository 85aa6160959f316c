"""Searches that one statement answers, texts and all: the vector arm alone, behind a filter or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Select

from ragindex_core.object.spec import Distance
from ragindex_db.compiled import planned_once
from ragindex_db.data_tables import RevisionTables
from ragindex_db.search.chunks import stored_chunk, stored_chunks
from ragindex_db.search.request import ArmScores, Explanation, SearchHit, SearchRequest, SearchResult
from ragindex_db.search.vector import (
    MOST_EXACT,
    FilterIn,
    Strategy,
    capped_statement,
    exact_statement,
    index_statement,
    kept,
    prepared_query,
    score_of,
)


@dataclass(frozen=True, slots=True)
class PlainSearch:
    request: SearchRequest
    statement: Select[Any]
    values: dict[str, Any]

    @property
    def further(self) -> SearchRequest:
        """What to ask when that was not enough."""
        return replace(self.request, broad=self.request.filter is not None)

    def result(self, rows: Sequence[Any], milliseconds: float) -> SearchResult | None:
        """None when the one statement was not enough: the index brought too few, or the filter leaves too many."""
        request = self.request
        matching = None
        if request.filter is not None:
            matching = rows[0].matching if rows else 0
            if matching > MOST_EXACT:
                return None
        by_index = request.filter is None and request.has_index
        if by_index and len(rows) < request.top_k:
            return None
        hits = []
        for row in rows:
            score = score_of(row.distance, request.distance)
            hits.append(SearchHit(stored_chunk(row), score, ArmScores(score, None)))
        strategy = Strategy.HNSW if by_index else Strategy.EXACT
        explanation = Explanation(strategy, matching, request.top_k, 1, len(rows), None, len(rows))
        timings = {"vector": milliseconds, "total": milliseconds}
        return SearchResult(request.tables.revision_id, tuple(hits), timings, explanation)


def plain_search(request: SearchRequest) -> PlainSearch | None:
    """None for a request that takes more than one statement in any case."""
    if request.vector is None or not request.uses_vector or request.uses_keyword:
        return None
    if request.grouped or request.neighbours or request.has_index is None:
        return None
    tables, distance, limit = request.tables, request.distance, request.top_k
    if request.filter is not None:
        within = FilterIn(request.index_id, request.filter)
        statement = _nearest_behind(tables, distance, within, limit)
    else:
        statement = _nearest(tables, distance, limit, request.ef_search if request.has_index else None)
    return PlainSearch(request, statement, {"query": prepared_query(tables, request.vector, distance)})


@lru_cache(maxsize=1024)
def _nearest(tables: RevisionTables, distance: Distance, limit: int, ef_search: int | None) -> Select[Any]:
    """By the index, or exactly when nothing is said of how to search it."""
    if ef_search is None:
        nearest = exact_statement(tables, distance, None, limit).subquery("nearest")
    else:
        nearest = index_statement(tables, distance, None, limit, ef_search).subquery("nearest")
    return planned_once(_with_texts(tables, nearest))


@lru_cache(maxsize=1024)
def _nearest_behind(tables: RevisionTables, distance: Distance, within: FilterIn, limit: int) -> Select[Any]:
    nearest = capped_statement(tables, distance, within, limit, MOST_EXACT).subquery("nearest")
    return kept(_with_texts(tables, nearest).add_columns(nearest.c.matching), within)


def _with_texts(tables: RevisionTables, nearest: sa.Subquery) -> Select[Any]:
    return (
        stored_chunks(tables)
        .join(nearest, nearest.c.chunk_id == tables.chunk.c.id)
        .add_columns(nearest.c.distance)
        .order_by(nearest.c.distance, nearest.c.chunk_id)
    )
