"""What every statement of the keyword arm begins with: the terms asked for, how often they stand where, and from that
their weights, all counted in the snapshot that is ranked.

The terms are one array, so that a statement is the same for any number of them: the server plans it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import sqlalchemy as sa
from pgvector.sqlalchemy import BIT, VECTOR
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

from ragindex_core import bm25
from ragindex_core.analysis import KeywordQuery
from ragindex_db.keyword.encoding import FIRST_CHARACTER, NO_CHARACTER, term_id
from ragindex_db.keyword.tables import SEGMENT_SLOTS, KeywordTables

Number: TypeAlias = sa.ColumnElement[Any]
Rows: TypeAlias = sa.FromClause

#: The relative error of a sum of up to 64 products in single precision is below half of this.
ROUNDING = 1e-5

VECTOR_OF_SLOTS = VECTOR(SEGMENT_SLOTS)
BITS_OF_SLOTS = BIT(SEGMENT_SLOTS)
_IDS, _COUNTS, _WEIGHTS = (postgresql.ARRAY(of) for of in (sa.BigInteger, sa.Integer, sa.Double))

#: What decides the form of a statement: of each phrase the forms it can take, each by the number of terms in a row and
#: of extra terms.
Shape: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]
NO_PHRASES: Shape = ()

TERMS = sa.bindparam("terms", type_=_IDS)
CHUNK_IDS = sa.bindparam("chunk_ids", type_=_IDS)


def shape_of(query: KeywordQuery) -> Shape:
    return tuple(tuple((len(f.row), len(f.extras)) for f in p.forms) for p in query.phrases)


def parameters(query: KeywordQuery) -> dict[str, object]:
    """The values that the statements of ``shape_of(query)`` take from the question."""
    values: dict[str, object] = {"terms": [term_id(term) for term in query.terms]}
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


class _Constant(sa.ColumnElement[Any]):
    """A number that stands in the statement: as a parameter it would be sent and computed with each time."""

    _traverse_internals = [("value", InternalTraversal.dp_plain_obj)]  # noqa: RUF012  as SQLAlchemy has it

    def __init__(self, value: float) -> None:
        self.value = value
        self.type = sa.Integer() if isinstance(value, int) else sa.Double()


@compiles(_Constant)
def _written(constant: _Constant, _compiler: object, **_: Any) -> str:
    return repr(constant.value)


def number(value: float) -> Number:
    constant = _Constant(value)
    # Written out, a fraction is a decimal number to PostgreSQL.
    return constant if isinstance(value, int) else sa.cast(constant, sa.Double)


SATURATION = number(bm25.K1 + 1)
_NORM_AT_ZERO = number(bm25.K1 * (1 - bm25.B))
_NORM_OF_LENGTH = number(bm25.K1 * bm25.B)
ZERO, HALF, ONE = number(0.0), number(0.5), number(1.0)
CERTAIN, POSSIBLE = number(1 - ROUNDING), number(1 - 2 * ROUNDING)
NO_OFFSET, JUST_ONE = number(0), number(1)


def double(value: Number) -> Number:
    return sa.cast(value, sa.Double)


def calculate(left: Number, operator: str, right: Number) -> Number:
    """Arithmetic in double precision, grouped as it is written here: regrouping a sum changes its last digit."""
    return left.op(operator, return_type=sa.Double())(right)


def filled_vector(value: Number) -> Number:
    """A vector with ``value`` in every slot."""
    slots = sa.type_coerce(postgresql.array([number(SEGMENT_SLOTS)]), _COUNTS)
    return sa.cast(sa.func.array_fill(sa.cast(value, sa.REAL), slots), VECTOR_OF_SLOTS)


def materialized(select: sa.Select[Any], name: str) -> sa.CTE:
    return select.cte(name).prefix_with("MATERIALIZED", dialect="postgresql")


def fenced(select: sa.Select[*tuple[Any, ...]], name: str) -> sa.FromClause:
    """A lateral subquery that the planner must run for each outer row, by its index: OFFSET 0 keeps it from guessing
    that a join with all the rows there are would be cheaper."""
    return select.offset(NO_OFFSET).lateral(name)


def numbers(count: int, name: str) -> sa.TableValuedAlias:
    """0 to ``count`` - 1 as rows."""
    series = sa.func.generate_series(number(0), number(count - 1)).table_valued(sa.column("n", sa.Integer), name=name)
    return series.render_derived()


@dataclass(frozen=True, slots=True)
class Question:
    """The common tables that every statement begins with.

    ``facts`` is one row: ``idfs`` of the terms in their order, and the ``average`` length. ``head`` are the unsealed
    chunks with the frequency of each term and whether they hold the phrases.
    """

    tables: KeywordTables
    shape: Shape
    head: sa.CTE
    asked: sa.CTE
    postings: sa.CTE
    facts: sa.CTE

    def score(self, rows: Rows) -> Number:
        """BM25 of rows with ``length`` and ``frequencies``, by the steps of ``ragindex_core.bm25``."""
        relative = calculate(calculate(_NORM_OF_LENGTH, "*", rows.c.length), "/", self.facts.c.average)
        norm = calculate(_NORM_AT_ZERO, "+", relative)
        columns = (sa.column("frequency", sa.Integer), sa.column("idf", sa.Double))
        term = sa.func.unnest(rows.c.frequencies, self.facts.c.idfs).table_valued(*columns).render_derived()
        counted = double(term.c.frequency)
        impact = calculate(calculate(counted, "*", SATURATION), "/", calculate(counted, "+", norm))
        # Summed in the order of the terms. One that is not there has no frequency, and so no share.
        total = sa.select(sa.func.sum(calculate(term.c.idf, "*", impact), type_=sa.Double)).select_from(term)
        return sa.func.coalesce(total.scalar_subquery(), ZERO)


def frequencies(tables: KeywordTables) -> Number:
    """How often each of the terms stands in a row of ``terms``; NULL when it does not."""
    row = tables.terms.c
    term = sa.func.unnest(TERMS).table_valued(sa.column("term", sa.BigInteger)).render_derived()
    frequency = sa.func.get_byte(row.frequencies, sa.func.array_position(row.terms, term.c.term) - JUST_ONE)
    # Looking whether the term is there at all is twice as fast as asking where, and mostly it is not.
    each = sa.select(sa.case((term.c.term == sa.any_(row.terms), frequency))).select_from(term)
    return sa.func.array(each.scalar_subquery(), type_=_COUNTS)


def holds_phrases(tables: KeywordTables, shape: Shape) -> Number:
    """Whether a row of ``terms`` holds every phrase in one of its forms."""
    row = tables.terms.c

    def character(name: str) -> Number:
        place = sa.func.array_position(row.terms, sa.bindparam(name, type_=sa.BigInteger))
        # A term that is not in the chunk has no number; LEAST passes over it.
        return sa.func.chr(sa.func.least(place + number(FIRST_CHARACTER - 1), number(NO_CHARACTER)), type_=sa.Text)

    def form(p: int, f: int, length: int, extras: int) -> Number:
        wanted = reduce(lambda text, c: text + c, [character(f"row_{p}_{f}_{place}") for place in range(length)])
        there = sa.func.strpos(row.row, wanted) > number(0)
        beside = [
            sa.bindparam(f"extra_{p}_{f}_{place}", type_=sa.BigInteger) == sa.any_(row.terms) for place in range(extras)
        ]
        return sa.and_(there, *beside)

    return sa.and_(
        sa.true(),
        *[sa.or_(*[form(p, f, *sizes) for f, sizes in enumerate(forms)]) for p, forms in enumerate(shape)],
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


def question(tables: KeywordTables, shape: Shape = NO_PHRASES, *, impacts: bool = False) -> Question:
    """``impacts``: whether the postings are to hold their vectors, which are not needed to score given chunks."""
    unsealed = fenced(
        sa.select(
            tables.terms.c.document_id,
            tables.terms.c.length,
            holds_phrases(tables, shape).label("phrased"),
            frequencies(tables).label("frequencies"),
        ).where(tables.terms.c.chunk_id == tables.head.c.chunk_id),
        "unsealed",
    )
    head = materialized(sa.select(tables.head.c.chunk_id, unsealed).join_from(tables.head, unsealed, sa.true()), "head")
    unnested = (
        sa.func.unnest(TERMS).table_valued(sa.column("term", sa.BigInteger), with_ordinality="place").render_derived()
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
    return Question(tables, shape, head, asked, postings_cte, _facts(tables, head, asked, postings_cte))


def _facts(tables: KeywordTables, head: sa.CTE, asked: sa.CTE, postings: sa.CTE) -> sa.CTE:
    unsealed = sa.select(sa.func.count().label("chunks"), sa.func.avg(head.c.length).label("average")).cte("unsealed")
    sealed = sa.select(
        sa.func.coalesce(sa.func.sum(tables.segment.c.slots), number(0)).label("chunks"),
        sa.func.max(tables.segment.c.average_length).label("average"),
    ).cte("sealed")
    columns = sa.func.unnest(head.c.frequencies).table_valued(
        sa.column("frequency", sa.Integer), with_ordinality="place"
    )
    term = columns.render_derived()
    in_head = (
        sa.select(term.c.place, sa.func.count(term.c.frequency).label("chunks"))
        .select_from(head.join(term, sa.true()))
        .group_by(term.c.place)
        .cte("in_head")
    )
    in_segments = (
        sa.select(postings.c.term, sa.func.sum(postings.c.chunks).label("chunks"))
        .group_by(postings.c.term)
        .cte("in_segments")
    )
    containing = double(
        sa.func.coalesce(in_segments.c.chunks, number(0)) + sa.func.coalesce(in_head.c.chunks, number(0))
    )
    chunks = double(sealed.c.chunks + unsealed.c.chunks)
    others = calculate(calculate(chunks, "-", containing), "+", HALF)
    odds = calculate(others, "/", calculate(containing, "+", HALF))
    idf = sa.func.ln(calculate(ONE, "+", odds))
    average = sa.func.greatest(sa.func.coalesce(sealed.c.average, double(unsealed.c.average)), ONE)
    return materialized(
        sa.select(
            sa.type_coerce(sa.func.array_agg(aggregate_order_by(idf, asked.c.place)), _WEIGHTS).label("idfs"),
            sa.func.max(average).label("average"),
        )
        .select_from(asked)
        .join(in_segments, in_segments.c.term == asked.c.term, isouter=True)
        .join(in_head, in_head.c.place == asked.c.place, isouter=True)
        .join(unsealed, sa.true())
        .join(sealed, sa.true()),
        "facts",
    )
