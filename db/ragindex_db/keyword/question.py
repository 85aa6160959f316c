"""What every statement of the keyword arm begins with: the terms asked for, how often they stand where, and from that
their weights, all counted in the snapshot that is ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import sqlalchemy as sa
from pgvector.sqlalchemy import BIT, VECTOR
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import aggregate_order_by

from ragindex_core import bm25
from ragindex_core.analysis import KeywordQuery
from ragindex_db.keyword.encoding import FIRST_CHARACTER, NO_CHARACTER, term_id
from ragindex_db.keyword.tables import SEGMENT_SLOTS, KeywordTables

Number: TypeAlias = sa.ColumnElement[Any]
Rows: TypeAlias = sa.FromClause

#: The relative error of a sum of up to 64 products in single precision is below half of this.
ROUNDING = 1e-5

#: Statements are made for so many terms; shorter questions are padded. Each size is compiled once.
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)

VECTOR_OF_SLOTS = VECTOR(SEGMENT_SLOTS)
BITS_OF_SLOTS = BIT(SEGMENT_SLOTS)


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the form of a statement: the number of terms, and of each phrase the forms it can take, each by the
    number of terms in a row and of extra terms."""

    size: int
    phrases: tuple[tuple[tuple[int, int], ...], ...] = ()


def shape_of(query: KeywordQuery) -> Shape:
    size = next(size for size in SIZES if size >= len(query.terms))
    return Shape(size, tuple(tuple((len(f.row), len(f.extras)) for f in p.forms) for p in query.phrases))


def parameters(query: KeywordQuery) -> dict[str, object]:
    """The values that the statements of ``shape_of(query)`` take from the question."""
    terms = [term_id(term) for term in query.terms]
    values: dict[str, object] = {f"term_{place}": None for place in range(shape_of(query).size)}
    values.update({f"term_{place}": term for place, term in enumerate(terms)})
    required: list[tuple[int, int, int, int]] = []
    for p, phrase in enumerate(query.phrases):
        for f, form in enumerate(phrase.forms):
            values.update({f"row_{p}_{f}_{place}": term_id(term) for place, term in enumerate(form.row)})
            values.update({f"extra_{p}_{f}_{place}": term_id(term) for place, term in enumerate(form.extras)})
            required += [(p, f, len(form.terms), term_id(term)) for term in form.terms]
    if required:
        names = ("required_phrases", "required_forms", "required_sizes", "required_terms")
        values.update(zip(names, map(list, zip(*required, strict=True)), strict=True))
    return values


def _constant(name: str, value: float) -> Number:
    return sa.bindparam(name, value, type_=sa.Double)


SATURATION = _constant("saturation", bm25.K1 + 1)
_NORM_ATZERO = _constant("norm_at_zero", bm25.K1 * (1 - bm25.B))
_NORM_OF_LENGTH = _constant("norm_of_length", bm25.K1 * bm25.B)
ZERO, HALF, ONE = _constant("zero", 0.0), _constant("half", 0.5), _constant("one", 1.0)
CERTAIN, POSSIBLE = _constant("certain", 1 - ROUNDING), _constant("possible", 1 - 2 * ROUNDING)
NO_OFFSET = sa.bindparam("no_offset", 0, type_=sa.BigInteger)
JUST_ONE = sa.bindparam("just_one", 1, type_=sa.BigInteger)


def double(value: Number) -> Number:
    return sa.cast(value, sa.Double)


def calculate(left: Number, operator: str, right: Number) -> Number:
    """Arithmetic in double precision, grouped as it is written here: regrouping a sum changes its last digit."""
    return left.op(operator, return_type=sa.Double())(right)


def array_of(*values: Number, of: Any) -> Number:
    return sa.type_coerce(postgresql.array(values), postgresql.ARRAY(of))


def filled_vector(value: Number) -> Number:
    """A vector with ``value`` in every slot."""
    return sa.cast(
        sa.func.array_fill(sa.cast(value, sa.REAL), array_of(sa.literal(SEGMENT_SLOTS), of=sa.Integer)), VECTOR_OF_SLOTS
    )


def materialized(select: sa.Select[Any], name: str) -> sa.CTE:
    return select.cte(name).prefix_with("MATERIALIZED", dialect="postgresql")


def fenced(select: sa.Select[*tuple[Any, ...]], name: str) -> sa.FromClause:
    """A lateral subquery that the planner must run for each outer row, by its index: OFFSET 0 keeps it from guessing
    that a join with all the rows there are would be cheaper."""
    return select.offset(NO_OFFSET).lateral(name)


def numbers(count: int, name: str) -> sa.TableValuedAlias:
    """0 to ``count`` - 1 as rows."""
    series = sa.func.generate_series(0, count - 1).table_valued(sa.column("n", sa.Integer), name=name)
    return series.render_derived()


@dataclass(frozen=True, slots=True)
class Question:
    """The common tables that every statement begins with.

    ``facts`` is one row: ``idfs`` of the terms in their order, and the ``average`` length. ``head`` are the unsealed
    chunks with the frequency of each term and whether they hold the phrases.
    """

    tables: KeywordTables
    shape: Shape
    terms: tuple[Number, ...]
    head: sa.CTE
    asked: sa.CTE
    postings: sa.CTE
    facts: sa.CTE

    def frequencies(self, rows: Rows) -> list[Number]:
        return [rows.c[f"frequency_{place}"] for place in range(self.shape.size)]

    def score(self, rows: Rows) -> Number:
        """BM25 of rows with ``length`` and frequencies, by the steps of ``ragindex_core.bm25``."""
        relative = calculate(calculate(_NORM_OF_LENGTH, "*", rows.c.length), "/", self.facts.c.average)
        norm = calculate(_NORM_ATZERO, "+", relative)
        total = ZERO
        for place, frequency in enumerate(self.frequencies(rows), start=1):
            counted = double(frequency)
            impact = calculate(calculate(counted, "*", SATURATION), "/", calculate(counted, "+", norm))
            share = calculate(self.facts.c.idfs[place], "*", impact)
            total = calculate(total, "+", sa.func.coalesce(share, ZERO))
        return total


def frequency_columns(tables: KeywordTables, terms: Sequence[Number]) -> list[Number]:
    """How often each term stands in a row of ``terms``; NULL when it does not."""
    row = tables.terms.c
    return [
        # Looking whether the term is there at all is twice as fast as asking where, and mostly it is not.
        sa.case(
            (term == sa.any_(row.terms), sa.func.get_byte(row.frequencies, sa.func.array_position(row.terms, term) - 1))
        ).label(f"frequency_{place}")
        for place, term in enumerate(terms)
    ]


def holds_phrases(tables: KeywordTables, shape: Shape) -> Number:
    """Whether a row of ``terms`` holds every phrase in one of its forms."""
    row = tables.terms.c

    def character(name: str) -> Number:
        number = sa.func.array_position(row.terms, sa.bindparam(name, type_=sa.BigInteger))
        # A term that is not in the chunk has no number; LEAST passes over it.
        return sa.func.chr(sa.func.least(number + (FIRST_CHARACTER - 1), NO_CHARACTER), type_=sa.Text)

    def form(p: int, f: int, length: int, extras: int) -> Number:
        wanted = reduce(lambda text, c: text + c, [character(f"row_{p}_{f}_{place}") for place in range(length)])
        there = sa.func.strpos(row.row, wanted) > 0
        beside = [
            sa.bindparam(f"extra_{p}_{f}_{place}", type_=sa.BigInteger) == sa.any_(row.terms) for place in range(extras)
        ]
        return sa.and_(there, *beside)

    return sa.and_(
        sa.true(),
        *[sa.or_(*[form(p, f, *sizes) for f, sizes in enumerate(forms)]) for p, forms in enumerate(shape.phrases)],
    )


def posting_row(tables: KeywordTables, term: Number) -> tuple[sa.FromClause, Number]:
    """The only row of a segment that can hold ``term``, and the place in it where the term is, if it does."""
    posting = tables.posting
    row = (
        sa.select(posting.c.terms, posting.c.chunks, posting.c.impacts)
        .where(posting.c.segment_id == tables.segment.c.segment_id, posting.c.first_term <= term)
        .order_by(posting.c.first_term.desc())
        .limit(JUST_ONE)
        .lateral("posting_row")
    )
    return row, sa.func.array_position(row.c.terms, term)


def question(tables: KeywordTables, shape: Shape, *, impacts: bool = False) -> Question:
    """``impacts``: whether the postings are to hold their vectors, which are not needed to score given chunks."""
    terms = tuple(sa.bindparam(f"term_{place}", type_=sa.BigInteger) for place in range(shape.size))
    array = array_of(*terms, of=sa.BigInteger)
    unsealed = fenced(
        sa.select(
            tables.terms.c.document_id,
            tables.terms.c.length,
            holds_phrases(tables, shape).label("phrased"),
            *frequency_columns(tables, terms),
        ).where(tables.terms.c.chunk_id == tables.head.c.chunk_id),
        "unsealed",
    )
    head = materialized(sa.select(tables.head.c.chunk_id, unsealed).join_from(tables.head, unsealed, sa.true()), "head")
    unnested = (
        sa.func.unnest(array).table_valued(sa.column("term", sa.BigInteger), with_ordinality="place").render_derived()
    )
    asked = materialized(sa.select(unnested.c.term, unnested.c.place), "asked")
    row, found = posting_row(tables, asked.c.term)
    postings = (
        sa.select(
            tables.segment.c.segment_id,
            asked.c.term,
            row.c.chunks[found].label("chunks"),
            *([row.c.impacts[found].label("impacts")] if impacts else []),
        )
        .select_from(tables.segment.join(asked, sa.true()).join(row, sa.true()))
        .where(asked.c.term == sa.any_(row.c.terms))
    )
    postings_cte = materialized(postings, "postings")
    return Question(tables, shape, terms, head, asked, postings_cte, _facts(tables, shape, head, asked, postings_cte))


def _facts(tables: KeywordTables, shape: Shape, head: sa.CTE, asked: sa.CTE, postings: sa.CTE) -> sa.CTE:
    counted = sa.select(
        sa.func.count().label("chunks"),
        sa.func.avg(head.c.length).label("average"),
        array_of(*[sa.func.count(head.c[f"frequency_{place}"]) for place in range(shape.size)], of=sa.BigInteger).label(
            "containing"
        ),
    ).cte("head_counts")
    sealed = sa.select(
        sa.func.coalesce(sa.func.sum(tables.segment.c.slots), 0).label("chunks"),
        sa.func.max(tables.segment.c.average_length).label("average"),
    ).cte("sealed_counts")
    by_term = (
        sa.select(postings.c.term, sa.func.sum(postings.c.chunks).label("containing"))
        .group_by(postings.c.term)
        .cte("sealed_containing")
    )
    containing = double(sa.func.coalesce(by_term.c.containing, 0) + counted.c.containing[asked.c.place])
    chunks = double(sealed.c.chunks + counted.c.chunks)
    others = calculate(calculate(chunks, "-", containing), "+", HALF)
    odds = calculate(others, "/", calculate(containing, "+", HALF))
    idf = sa.func.ln(calculate(ONE, "+", odds))
    average = sa.func.greatest(sa.func.coalesce(sealed.c.average, double(counted.c.average)), ONE)
    return materialized(
        sa.select(
            sa.type_coerce(
                sa.func.array_agg(aggregate_order_by(idf, asked.c.place)), postgresql.ARRAY(sa.Double)
            ).label("idfs"),
            sa.func.max(average).label("average"),
        )
        .select_from(asked)
        .join(by_term, by_term.c.term == asked.c.term, isouter=True)
        .join(counted, sa.true())
        .join(sealed, sa.true()),
        "facts",
    )
