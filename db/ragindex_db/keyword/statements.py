"""The statements of the keyword arm's search. One statement is one snapshot: what it counts is what it ranks.

Scores are BM25 in double precision from ``terms``, the same for a chunk in the head and in a segment; segments only
offer candidates. A chunk that is no candidate has no place above one that is certain, so what is returned is exact.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ragindex_db.keyword.question import (
    CERTAIN,
    NO_OFFSET,
    Number,
    Question,
    Shape,
    array_of,
    fenced,
    frequency_columns,
    holds_phrases,
    question,
)
from ragindex_db.keyword.slots import candidates, slot_scores, threshold
from ragindex_db.keyword.tables import KeywordTables

# Making a statement takes longer than running it.
_KEPT_STATEMENTS = 512

_CHUNK_IDS = sa.bindparam("chunk_ids", type_=postgresql.ARRAY(sa.BigInteger))


@lru_cache(_KEPT_STATEMENTS)
def evidence(tables: KeywordTables, shape: Shape) -> sa.Select[Any]:
    """Length and frequencies of the chunks ``chunk_ids``, each with the facts that make a score of them."""
    q = question(tables, shape)
    rows = tables.terms
    frequencies = array_of(*frequency_columns(tables, q.terms), of=sa.Integer)
    return sa.select(
        rows.c.chunk_id, rows.c.length, frequencies.label("frequencies"), q.facts.c.idfs, q.facts.c.average
    ).join_from(rows, q.facts, rows.c.chunk_id == sa.any_(_CHUNK_IDS))


@lru_cache(_KEPT_STATEMENTS)
def ranked_among(tables: KeywordTables, shape: Shape) -> sa.Select[Any]:
    """The ``limit`` best of the chunks ``chunk_ids``, scored one by one."""
    q = question(tables, shape)
    asked = sa.func.unnest(_CHUNK_IDS).table_valued(sa.column("chunk_id", sa.BigInteger)).render_derived()
    return _best(_scored(q, asked))


@lru_cache(_KEPT_STATEMENTS)
def ranked(tables: KeywordTables, shape: Shape) -> sa.CompoundSelect[Any]:
    """The ``limit`` best among about ``want`` candidates, and before them a row without a chunk that holds the
    threshold: 0 when every matching chunk was a candidate."""
    q = question(tables, shape, impacts=True)
    slots = slot_scores(q)
    passed = threshold(q, slots)
    unsealed = sa.select(q.head.c.chunk_id, q.head.c.document_id, q.score(q.head).label("score"))
    unsealed = unsealed.select_from(q.head.join(q.facts, sa.true()))
    if shape.phrases:
        unsealed = unsealed.where(q.head.c.phrased)
    scored: sa.CompoundSelect[Any] = sa.union_all(_scored(q, candidates(q, slots, passed)), unsealed.offset(NO_OFFSET))
    least = sa.select(passed.c.reached * CERTAIN).scalar_subquery()
    none = sa.cast(sa.null(), sa.BigInteger)
    return sa.union_all(
        sa.select(none.label("chunk_id"), none.label("document_id"), passed.c.reached.label("score")),
        sa.select(_best(scored, least).subquery("best")),
    )


def _scored(q: Question, chunks: sa.FromClause) -> sa.Select[Any]:
    """Of those ``chunks`` that are still there and hold the phrases: document and score."""
    terms = q.tables.terms
    columns = (terms.c.document_id, terms.c.length, *frequency_columns(q.tables, q.terms))
    there = sa.select(*columns).where(terms.c.chunk_id == chunks.c.chunk_id)
    if q.shape.phrases:
        there = there.where(holds_phrases(q.tables, q.shape))
    rows = fenced(there, "chunk_terms")
    return (
        sa.select(chunks.c.chunk_id, rows.c.document_id, q.score(rows).label("score"))
        .select_from(chunks.join(rows, sa.true()).join(q.facts, sa.true()))
        .offset(NO_OFFSET)
    )


def _best(scored: sa.SelectBase, least: Number | None = None) -> sa.Select[Any]:
    rows = scored.subquery("scored")
    best = (
        sa.select(rows.c.chunk_id, rows.c.document_id, rows.c.score)
        .where(rows.c.score > 0)
        .order_by(rows.c.score.desc(), rows.c.chunk_id)
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
    )
    return best if least is None else best.where(rows.c.score >= least)
