"""Keyword search: exact BM25 over a revision, by the statements of the module beside this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from ragindex_core import bm25
from ragindex_core.analysis import KeywordQuery
from ragindex_db.compiled import Reader
from ragindex_db.keyword import statements
from ragindex_db.keyword.question import parameters, shape_of
from ragindex_db.keyword.tables import KeywordTables

#: Up to so many visible chunks are scored one by one.
MOST_SCORED_SINGLY = 10_000

# Beside the chunks asked for, room for some that turn out to be gone.
_SPARE_CANDIDATES = 8
_MORE_CANDIDATES = 8
# When more chunks are visible, so many times the limit of the best of all chunks are asked whether they are.
_BEST_OF_ALL = (4, 32)
_ANY_NUMBER = 1 << 62


class Hit(NamedTuple):
    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What makes a score of how often the terms of a question stand in a chunk: their weights, in their order, and the
    average length."""

    idfs: Sequence[float] = ()
    average: float = 1.0

    def score(self, length: int, frequencies: Sequence[int | None]) -> float:
        """BM25, the very number that ``search`` orders a chunk by."""
        matching = [(idf, frequency) for idf, frequency in zip(self.idfs, frequencies, strict=True) if frequency]
        return bm25.score(matching, length, self.average)


@dataclass(frozen=True, slots=True)
class Ranking:
    """``facts``: as they were for the whole of the revision when these were found."""

    hits: list[Hit] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)


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
    reader: Reader,
    tables: KeywordTables,
    query: KeywordQuery,
    limit: int,
    within: sa.Select[Any] | None = None,
) -> list[Hit]:
    """The ``limit`` chunks with the highest BM25, equal ones by id; fewer only when fewer match.

    A chunk matches when it holds a term of the question and all of its phrases. ``within`` selects the ids of the
    documents that may be found, each once; None means all.
    """
    return rank(reader, tables, query, limit, within).hits


def rank(
    reader: Reader,
    tables: KeywordTables,
    query: KeywordQuery,
    limit: int,
    within: sa.Select[Any] | None = None,
) -> Ranking:
    """The same, with the facts that others can be scored by."""
    if not query.terms or limit < 1:
        return Ranking()
    values = {**parameters(query), "limit": limit}
    if within is None:
        return _best_of_all(reader, tables, query, values, limit)
    statement = statements.ranked_within(tables, shape_of(query), within)
    chunks, ranking = _read(reader.execute(statement, {**values, "most": MOST_SCORED_SINGLY}).all())
    if chunks <= MOST_SCORED_SINGLY:
        return ranking
    for times in _BEST_OF_ALL:
        found = _visible_of_best(reader, tables, query, limit, limit * times, within)
        if found is not None:
            return found
    return _read(reader.execute(statement, {**values, "most": _ANY_NUMBER}).all())[1]


def _best_of_all(
    reader: Reader, tables: KeywordTables, query: KeywordQuery, values: Mapping[str, Any], limit: int
) -> Ranking:
    statement = statements.ranked(tables, shape_of(query))
    want = limit + _SPARE_CANDIDATES
    while True:
        threshold, ranking = _read(reader.execute(statement, {**values, "want": want}).all())
        if len(ranking.hits) == limit or threshold == 0:
            return ranking
        want *= _MORE_CANDIDATES


def _visible_of_best(
    reader: Reader, tables: KeywordTables, query: KeywordQuery, limit: int, want: int, within: sa.Select[Any]
) -> Ranking | None:
    """None when the ``want`` best of all chunks hold too few visible ones to be sure."""
    statement = statements.ranked(tables, shape_of(query))
    first, *best = reader.execute(statement, {**parameters(query), "limit": None, "want": want}).all()
    documents = {"document_ids": sorted({row.document_id for row in best})}
    visible = set(reader.execute(statements.among(within), documents).scalars())
    found = [row for row in best if row.document_id in visible][:limit]
    return _read([first, *found])[1] if len(found) == limit or first.score == 0 else None


def _read(rows: Sequence[Any]) -> tuple[float, Ranking]:
    """What the first row tells, and the others."""
    first, *best = rows
    facts = Facts(first.idfs, first.average) if first.idfs is not None else Facts()
    return first.score, Ranking([Hit(row.chunk_id, row.score) for row in best], facts)


def facts(reader: Reader, tables: KeywordTables, query: KeywordQuery) -> Facts:
    """What the terms of the question weigh in this revision."""
    if not query.terms:
        return Facts()
    row = reader.execute(statements.facts(tables), parameters(query)).one()
    return Facts(row.idfs, row.average)


def evidence(
    reader: Reader, tables: KeywordTables, query: KeywordQuery, chunk_ids: Sequence[int]
) -> dict[int, Evidence]:
    """What speaks for each of ``chunk_ids``; one that is not there, or has no term of the question, has 0 and 0."""
    found = dict.fromkeys(chunk_ids, Evidence(0.0, 0.0))
    terms = query.terms
    if not terms or not chunk_ids:
        return found
    known = facts(reader, tables, query)
    idf_of = dict(zip(terms, known.idfs, strict=True))
    values = {"terms": parameters(query)["terms"], "chunk_ids": list(chunk_ids)}
    for chunk_id, length, frequencies in reader.execute(statements.counted(tables), values):
        present = {term for term, frequency in zip(terms, frequencies, strict=True) if frequency}
        found[chunk_id] = Evidence(known.score(length, frequencies), _coverage(query, idf_of, present))
    return found


def _coverage(query: KeywordQuery, idf_of: dict[str, float], present: set[str]) -> float:
    """A word weighs what its most frequent form weighs: a form that a language only could have is rare, not telling."""
    weights = [(min(idf_of[t] for t in word if t in idf_of), word) for word in query.words if idf_of.keys() & set(word)]
    total = sum(weight for weight, _ in weights)
    return sum(weight for weight, word in weights if present & set(word)) / total if total > 0 else 0.0


def score(reader: Reader, tables: KeywordTables, query: KeywordQuery, chunk_ids: Sequence[int]) -> dict[int, float]:
    """BM25 of each of ``chunk_ids``, the very number that ``search`` would order it by; 0 when no term matches."""
    return {chunk_id: shown.score for chunk_id, shown in evidence(reader, tables, query, chunk_ids).items()}


def statistics(connection: Connection, tables: KeywordTables) -> Statistics:
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
