"""The statements of the keyword arm's search. One statement is one snapshot: what it counts is what it ranks.

Scores are BM25 in double precision from ``terms``, the same for a chunk in the head and in a segment; segments only
offer candidates. A chunk that is no candidate has no place above one that is certain, so what is returned is exact.

What ranks gives first a row without a chunk: its ``score`` says how far the rest can be believed, and it alone has the
facts that scores are made with.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ragindex_db.compiled import planned_once
from ragindex_db.keyword.question import (
    CERTAIN,
    CHUNK_IDS,
    NO_OFFSET,
    ZERO,
    Number,
    Question,
    Rows,
    Shape,
    double,
    fenced,
    frequencies,
    holds_phrases,
    materialized,
    number,
    question,
)
from ragindex_db.keyword.slots import candidates, slot_scores, threshold
from ragindex_db.keyword.tables import KeywordTables

# Making a statement takes longer than running it.
_KEPT_STATEMENTS = 1024

_LIMIT = sa.bindparam("limit", type_=sa.BigInteger)
_DOCUMENT_IDS = sa.bindparam("document_ids", type_=postgresql.ARRAY(sa.BigInteger))


@lru_cache(_KEPT_STATEMENTS)
def facts(tables: KeywordTables) -> sa.Select[Any]:
    """``idfs`` of the terms and the ``average`` length."""
    q = question(tables)
    return planned_once(sa.select(q.facts.c.idfs, q.facts.c.average))


@lru_cache(_KEPT_STATEMENTS)
def counted(tables: KeywordTables) -> sa.Select[Any]:
    """Length and frequencies of the chunks ``chunk_ids``."""
    rows = tables.terms
    statement = sa.select(rows.c.chunk_id, rows.c.length, frequencies(tables).label("frequencies"))
    return planned_once(statement.where(rows.c.chunk_id == sa.any_(CHUNK_IDS)))


@lru_cache(_KEPT_STATEMENTS)
def ranked(tables: KeywordTables, shape: Shape) -> sa.CompoundSelect[Any]:
    """The ``limit`` best among about ``want`` candidates; before them the threshold, which is 0 when every matching
    chunk was a candidate."""
    q = question(tables, shape, impacts=True)
    slots = slot_scores(q)
    passed = threshold(q, slots)
    unsealed = sa.select(q.head.c.chunk_id, q.head.c.document_id, q.score(q.head).label("score"))
    unsealed = unsealed.select_from(q.head.join(q.facts, sa.true()))
    if shape:
        unsealed = unsealed.where(q.head.c.phrased)
    found = candidates(q, slots, passed)
    rows = _counted(q, tables.terms.c.chunk_id == found.c.chunk_id)
    scored: sa.CompoundSelect[Any] = sa.union_all(_scored(q, found, rows), unsealed.offset(NO_OFFSET))
    least = sa.select(passed.c.reached * CERTAIN).scalar_subquery()
    first = sa.select(passed.c.reached.label("score"), q.facts.c.idfs, q.facts.c.average)
    return planned_once(_beneath(first.select_from(passed.join(q.facts, sa.true())), _best(scored, least)))


@lru_cache(_KEPT_STATEMENTS)
def ranked_within(tables: KeywordTables, shape: Shape, within: sa.Select[Any] | None) -> sa.CompoundSelect[Any]:
    """The ``limit`` best of the chunks of some documents, scored one by one; before them the number of these chunks.
    When that is above ``most`` nothing is scored.

    ``within`` selects the documents; None: they are ``document_ids``.
    """
    q = question(tables, shape)
    if within is None:
        given = sa.func.unnest(_DOCUMENT_IDS).table_valued(sa.column("document_id", sa.BigInteger)).render_derived()
        documents = sa.select(given.c.document_id).cte("documents")
    else:
        inner = within.subquery("within")
        documents = sa.select(inner.c[0].label("document_id")).cte("documents").prefix_with("MATERIALIZED")
    terms, most = tables.terms.c, sa.bindparam("most", type_=sa.BigInteger)
    of_document = fenced(
        sa.select(terms.document_id).where(terms.document_id == documents.c.document_id), "of_document"
    )
    visible = sa.select(of_document).select_from(documents.join(of_document, sa.true())).limit(most + number(1))
    number_of = sa.select(sa.func.count().label("chunks")).select_from(visible.subquery("visible"))
    counted_chunks = materialized(number_of, "counted")
    chunks = sa.select(counted_chunks.c.chunks).scalar_subquery()
    few = chunks <= most
    rows = _counted(q, terms.document_id == documents.c.document_id)
    known = [
        sa.case((few, sa.select(column).scalar_subquery())).label(column.name)
        for column in (q.facts.c.idfs, q.facts.c.average)
    ]
    ranking = _beneath(sa.select(double(chunks).label("score"), *known), _best(_scored(q, documents, rows).where(few)))
    return planned_once(ranking) if within is None else ranking


@lru_cache(_KEPT_STATEMENTS)
def among(within: sa.Select[Any]) -> sa.Select[Any]:
    """Those of ``document_ids`` that ``within`` selects."""
    column = within.subquery("within").c[0]
    return sa.select(column).where(column == sa.any_(_DOCUMENT_IDS))


def _counted(q: Question, here: sa.ColumnElement[bool]) -> Rows:
    """Of the chunks that are there and hold the phrases: what a score is made of."""
    terms = q.tables.terms.c
    columns = (terms.chunk_id, terms.document_id, terms.length, frequencies(q.tables).label("frequencies"))
    there = sa.select(*columns).where(here)
    return fenced(there.where(holds_phrases(q.tables, q.shape)) if q.shape else there, "chunk_terms")


def _scored(q: Question, outer: Rows, rows: Rows) -> sa.Select[Any]:
    return (
        sa.select(rows.c.chunk_id, rows.c.document_id, q.score(rows).label("score"))
        .select_from(outer.join(rows, sa.true()).join(q.facts, sa.true()))
        .offset(NO_OFFSET)
    )


def _best(scored: sa.SelectBase, least: Number | None = None) -> sa.Select[Any]:
    rows = scored.subquery("scored")
    best = (
        sa.select(rows.c.chunk_id, rows.c.document_id, rows.c.score)
        .where(rows.c.score > ZERO)
        .order_by(rows.c.score.desc(), rows.c.chunk_id)
        .limit(_LIMIT)
    )
    return best if least is None else best.where(rows.c.score >= least)


def _beneath(first: sa.Select[Any], best: sa.Select[Any]) -> sa.CompoundSelect[Any]:
    top, rows = first.subquery("first"), best.subquery("best")
    none, no_idfs = sa.cast(sa.null(), sa.BigInteger), sa.cast(sa.null(), postgresql.ARRAY(sa.Double))
    no_id, no_average = none.label("chunk_id"), sa.cast(sa.null(), sa.Double)
    return sa.union_all(
        sa.select(no_id, none.label("document_id"), top.c.score, top.c.idfs, top.c.average),
        sa.select(rows, no_idfs, no_average),
    )
