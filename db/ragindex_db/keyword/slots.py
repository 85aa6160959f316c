"""The candidates that the segments offer, found by adding vectors.

The impacts of the terms in 960 slots, weighted and added in single precision, tell every slot's score but for
``ROUNDING``. A threshold is sought that at least ``want`` slots pass and not many more.
"""

from __future__ import annotations

import sqlalchemy as sa
from pgvector.sqlalchemy import BIT
from sqlalchemy.dialects import postgresql

from ragindex_db.keyword.question import (
    BITS_OF_SLOTS,
    NO_OFFSET,
    POSSIBLE,
    SATURATION,
    VECTOR_OF_SLOTS,
    ZERO,
    Number,
    Question,
    calculate,
    double,
    fenced,
    filled_vector,
    materialized,
    number,
    numbers,
    posting_row,
)
from ragindex_db.keyword.tables import SEGMENT_SLOTS

# The search for the threshold ends after so many steps, or when few more slots pass than are wanted: a step costs about
# what reading sixty candidates at 500,000 chunks does, and next to nothing at 5,000.
_MOST_STEPS = 20
_EXCESS = 1.3
# It aims between the two, and never so near to what it knows already that it would hardly move.
_AIM = 1.12
_EDGE = 0.05
_NEARLY_NONE = 0.02

# A segment's slots are looked through in pieces, so that a segment with one candidate costs little.
_PIECE = 40
_PIECES = SEGMENT_SLOTS // _PIECE


def slot_scores(q: Question) -> sa.CTE:
    """For each segment the scores of its slots, and the bits of the slots that hold all terms of the phrases."""
    weight = filled_vector(q.facts.c.idfs[q.asked.c.place])
    weights = materialized(
        sa.select(q.asked.c.term, weight.label("weight")).join_from(q.asked, q.facts, sa.true()), "weights"
    )
    weighted = sa.cast(q.postings.c.impacts, VECTOR_OF_SLOTS).op("*", return_type=VECTOR_OF_SLOTS)(weights.c.weight)
    scores = (
        sa.select(q.postings.c.segment_id, sa.func.sum(weighted, type_=VECTOR_OF_SLOTS).label("scores"))
        .join_from(q.postings, weights, weights.c.term == q.postings.c.term)
        .group_by(q.postings.c.segment_id)
    )
    if not q.shape:
        return materialized(scores, "slots")
    plain, eligible = scores.subquery("plain"), _eligible(q)
    return materialized(
        sa.select(plain.c.segment_id, plain.c.scores, eligible.c.bits).join_from(
            plain, eligible, eligible.c.segment_id == plain.c.segment_id
        ),
        "slots",
    )


def _eligible(q: Question) -> sa.Subquery:
    """By segment, the slots that hold every term of one form of each phrase."""
    parts = {"phrase": "required_phrases", "form": "required_forms", "size": "required_sizes", "term": "required_terms"}
    required = (
        sa.func.unnest(*[sa.bindparam(name, type_=postgresql.ARRAY(sa.BigInteger)) for name in parts.values()])
        .table_valued(*[sa.column(name, sa.BigInteger) for name in parts])
        .render_derived()
    )
    segment = q.tables.segment
    row, found = posting_row(q.tables, required.c.term)
    filled = sa.func.binary_quantize(sa.cast(row.c.impacts[found], VECTOR_OF_SLOTS), type_=BITS_OF_SLOTS)
    form = (
        sa.select(segment.c.segment_id, required.c.phrase, sa.func.bit_and(filled, type_=BITS_OF_SLOTS).label("bits"))
        .select_from(segment.join(required, sa.true()).join(row, sa.true()))
        .where(required.c.term == sa.any_(row.c.terms))
        .group_by(segment.c.segment_id, required.c.phrase, required.c.form, required.c.size)
        .having(sa.func.count() == required.c.size)
        .subquery("form")
    )
    phrase = (
        sa.select(form.c.segment_id, form.c.phrase, sa.func.bit_or(form.c.bits, type_=BITS_OF_SLOTS).label("bits"))
        .group_by(form.c.segment_id, form.c.phrase)
        .subquery("phrase")
    )
    return (
        sa.select(phrase.c.segment_id, sa.func.bit_and(phrase.c.bits, type_=BITS_OF_SLOTS).label("bits"))
        .group_by(phrase.c.segment_id)
        .having(sa.func.count() == number(len(q.shape)))
        .subquery("eligible")
    )


def _passing(slots: sa.CTE, cut: Number | None) -> Number:
    """The bits of a segment's slots with a score above ``cut``, or above 0."""
    above = slots.c.scores if cut is None else slots.c.scores.op("-", return_type=VECTOR_OF_SLOTS)(cut)
    bits: Number = sa.func.binary_quantize(above, type_=BITS_OF_SLOTS)
    return bits.op("&", return_type=BITS_OF_SLOTS)(slots.c.bits) if "bits" in slots.c else bits


def threshold(q: Question, slots: sa.CTE) -> sa.CTE:
    """One row, ``reached``: a score that at least ``want`` slots pass and not many more, or 0."""
    want = sa.bindparam("want", type_=sa.BigInteger)

    def passing(cut: Number | None) -> Number:
        return sa.func.coalesce(sa.func.sum(sa.func.bit_count(_passing(slots, cut))), number(0))

    idfs = sa.func.unnest(q.facts.c.idfs).table_valued(sa.column("idf", sa.Double)).render_derived()
    ceiling = sa.select(sa.func.sum(idfs.c.idf) * SATURATION).select_from(q.facts.join(idfs, sa.true()))
    search = sa.select(
        ZERO.label("low"),
        double(ceiling.scalar_subquery()).label("high"),
        double(sa.select(passing(None)).scalar_subquery()).label("above_low"),
        number(_NEARLY_NONE).label("above_high"),
        number(0).label("step"),
    ).cte("search", recursive=True)
    # Scores thin out about exponentially: the cut is sought where that would leave what is wanted.
    fall = sa.func.ln(calculate(search.c.above_low, "/", search.c.above_high))
    wanted_fall = sa.func.ln(calculate(search.c.above_low, "/", calculate(double(want), "*", number(_AIM))))
    share = sa.func.least(sa.func.greatest(calculate(wanted_fall, "/", fall), number(_EDGE)), number(1 - _EDGE))
    between = calculate(search.c.low, "+", calculate(calculate(search.c.high, "-", search.c.low), "*", share))
    middle = fenced(sa.select(between.label("score"), filled_vector(between).label("cut")).correlate(search), "middle")
    counted = fenced(sa.select(double(passing(middle.c.cut)).label("passing")), "counted")
    enough = counted.c.passing >= want
    search = search.union_all(
        sa.select(
            sa.case((enough, middle.c.score), else_=search.c.low),
            sa.case((enough, search.c.high), else_=middle.c.score),
            sa.case((enough, counted.c.passing), else_=search.c.above_low),
            sa.case((enough, search.c.above_high), else_=sa.func.greatest(counted.c.passing, number(_NEARLY_NONE))),
            search.c.step + number(1),
        )
        .select_from(search.join(middle, sa.true()).join(counted, sa.true()))
        .where(search.c.step < number(_MOST_STEPS), search.c.above_low > want * number(_EXCESS))
    )
    return materialized(
        sa.select(sa.func.max(search.c.low).label("reached")),
        "threshold",
    )


def candidates(q: Question, slots: sa.CTE, limit: sa.CTE) -> sa.Subquery:
    """The chunks whose slots pass the threshold, or come so near that rounding may have kept them below."""
    cut = materialized(sa.select(filled_vector(limit.c.reached * POSSIBLE).label("cut")), "cut")
    bits = sa.select(slots.c.segment_id, _passing(slots, cut.c.cut).label("bits")).join_from(slots, cut, sa.true())
    segment_bits = bits.offset(NO_OFFSET).subquery("segment_bits")
    piece_number = numbers(_PIECES, "numbers")
    first = piece_number.c.n * number(_PIECE) + number(1)
    within = sa.func.substring(segment_bits.c.bits, first, number(_PIECE), type_=BIT())
    piece = fenced(sa.select(within.label("bits")).correlate(segment_bits, piece_number), "piece")
    slot = numbers(_PIECE, "places")
    segment = q.tables.segment
    chunks = fenced(
        sa.select(segment.c.chunks).where(segment.c.segment_id == segment_bits.c.segment_id), "segment_chunks"
    )
    return (
        sa.select(chunks.c.chunks[first + slot.c.n].label("chunk_id"))
        .select_from(
            segment_bits.join(chunks, sa.true())
            .join(piece_number, sa.true())
            .join(piece, sa.true())
            .join(slot, sa.true())
        )
        .where(
            sa.func.bit_count(segment_bits.c.bits) > number(0),
            sa.func.bit_count(piece.c.bits) > number(0),
            sa.func.get_bit(piece.c.bits, slot.c.n) == number(1),
        )
        .subquery("candidates")
    )
