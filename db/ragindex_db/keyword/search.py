"""Keyword search: exact BM25 over a revision, by the statements of the module beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_core import bm25
from ragindex_core.analysis import KeywordQuery
from ragindex_db.compiled import Reader
from ragindex_db.keyword import statements
from ragindex_db.keyword.question import Shape, parameters, shape_of
from ragindex_db.keyword.tables import KeywordTables

#: Up to so many visible chunks are scored one by one.
MOST_SCORED_SINGLY = 10_000

# Beside the chunks asked for, room for some that turn out to be gone.
_SPARE_CANDIDATES = 8
_MORE_CANDIDATES = 8
# When more chunks are visible, so many times the limit of the best of all chunks are asked whether they are.
_BEST_OF_ALL = (4, 32)


@dataclass(frozen=True, slots=True)
class Hit:
    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """``score`` is BM25. ``coverage`` is the share of the question's words, weighted by idf, that the chunk has: 0 to
    1, and comparable between questions, which a score is not."""

    score: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """``chunks`` are live; of ``sealed`` slots some may be ``dead``, which idf still counts until the sealer comes by.
    ``average_length`` is the one that scores are computed with."""

    chunks: int
    unsealed: int
    sealed: int
    dead: int
    segments: int
    average_length: float


def search(
    connection: Reader,
    tables: KeywordTables,
    query: KeywordQuery,
    limit: int,
    within: sa.Select[Any] | None = None,
) -> list[Hit]:
    """The ``limit`` chunks with the highest BM25, equal ones by id; fewer only when fewer match.

    A chunk matches when it holds a term of the question and all of its phrases. ``within`` selects the ids of the
    documents that may be found; None means all.
    """
    if not query.terms or limit < 1:
        return []
    if within is None:
        return _best_of_all(connection, tables, query, limit)
    some = _visible_chunks(connection, tables, within, MOST_SCORED_SINGLY + 1)
    if len(some) > MOST_SCORED_SINGLY:
        for times in _BEST_OF_ALL:
            hits = _visible_of_best(connection, tables, query, limit, limit * times, within)
            if hits is not None:
                return hits
        some = _visible_chunks(connection, tables, within, None)
    values = {**parameters(query), "chunk_ids": some, "limit": limit}
    return _hits(connection.execute(statements.ranked_among(tables, shape_of(query)), values).all())


def _best_of_all(connection: Reader, tables: KeywordTables, query: KeywordQuery, limit: int) -> list[Hit]:
    statement, values = statements.ranked(tables, shape_of(query)), {**parameters(query), "limit": limit}
    want = limit + _SPARE_CANDIDATES
    while True:
        limits, *best = connection.execute(statement, {**values, "want": want}).all()
        if len(best) == limit or limits.score == 0:
            return _hits(best)
        want *= _MORE_CANDIDATES


def _visible_of_best(
    connection: Reader, tables: KeywordTables, query: KeywordQuery, limit: int, want: int, within: sa.Select[Any]
) -> list[Hit] | None:
    """None when the ``want`` best of all chunks hold too few visible ones to be sure."""
    statement = statements.ranked(tables, shape_of(query))
    values = {**parameters(query), "limit": None, "want": want}
    limits, *best = connection.execute(statement, values).all()
    documents = sorted({row.document_id for row in best})
    column = within.subquery("within").c[0]
    among = sa.select(column).where(column == sa.any_(sa.literal(documents, ARRAY(sa.BigInteger))))
    visible = set(connection.execute(among).scalars())
    hits = _hits([row for row in best if row.document_id in visible][:limit])
    return hits if len(hits) == limit or limits.score == 0 else None


def _visible_chunks(connection: Reader, tables: KeywordTables, within: sa.Select[Any], most: int | None) -> list[int]:
    terms = tables.terms
    return list(
        connection.execute(sa.select(terms.c.chunk_id).where(terms.c.document_id.in_(within)).limit(most)).scalars()
    )


def _hits(rows: Sequence[sa.Row[Any]]) -> list[Hit]:
    return [Hit(row.chunk_id, row.score) for row in rows]


def evidence(
    connection: Reader, tables: KeywordTables, query: KeywordQuery, chunk_ids: Sequence[int]
) -> dict[int, Evidence]:
    """What speaks for each of ``chunk_ids``; one that is not there, or has no term of the question, has 0 and 0."""
    found = dict.fromkeys(chunk_ids, Evidence(0.0, 0.0))
    terms = query.terms
    if not terms or not chunk_ids:
        return found
    values = {**parameters(query), "chunk_ids": list(chunk_ids)}
    statement = statements.evidence(tables, Shape(shape_of(query).size))
    for chunk_id, length, frequencies, idfs, average in connection.execute(statement, values):
        idf_of = dict(zip(terms, idfs, strict=False))
        present = {term for term, frequency in zip(terms, frequencies, strict=False) if frequency}
        matching = [(idf, frequency) for idf, frequency in zip(idfs, frequencies, strict=True) if frequency is not None]
        found[chunk_id] = Evidence(bm25.score(matching, length, average), _coverage(query, idf_of, present))
    return found


def _coverage(query: KeywordQuery, idf_of: dict[str, float], present: set[str]) -> float:
    """A word weighs what its most frequent form weighs: a form that a language only could have is rare, not telling."""
    weights = [(min(idf_of[t] for t in word if t in idf_of), word) for word in query.words if idf_of.keys() & set(word)]
    total = sum(weight for weight, _ in weights)
    return sum(weight for weight, word in weights if present & set(word)) / total if total > 0 else 0.0


def score(connection: Reader, tables: KeywordTables, query: KeywordQuery, chunk_ids: Sequence[int]) -> dict[int, float]:
    """BM25 of each of ``chunk_ids``, the very number that ``search`` would order it by; 0 when no term matches."""
    return {chunk_id: shown.score for chunk_id, shown in evidence(connection, tables, query, chunk_ids).items()}


def statistics(connection: Reader, tables: KeywordTables) -> Statistics:
    terms, head, segment = tables.terms, tables.head, tables.segment

    def one(value: sa.ColumnElement[Any], table: sa.Table) -> sa.ScalarSelect[Any]:
        return sa.select(value).select_from(table).scalar_subquery()

    average = sa.func.coalesce(
        one(sa.func.max(segment.c.average_length), segment), one(sa.func.avg(terms.c.length), terms)
    )
    row = connection.execute(
        sa.select(
            one(sa.func.count(), terms),
            one(sa.func.count(), head),
            one(sa.func.coalesce(sa.func.sum(segment.c.slots), 0), segment),
            one(sa.func.coalesce(sa.func.sum(segment.c.dead), 0), segment),
            one(sa.func.count(), segment),
            sa.cast(sa.func.greatest(average, 1), sa.Double),
        )
    ).one()
    return Statistics(*row)
