"""The vector arm: the nearest chunks of a revision, exactly or by its HNSW index.

Exactly, when there is no valid index or when a filter leaves few chunks: they are counted, up to a cap, rather than
estimated, because an index scan that meets a match once in a hundred rows is both slower and less complete. Else the
index over the sealed rows, beside an exact scan of the few that are not sealed yet. An index scan that comes back with
fewer rows than were asked for is not believed: the exact scan decides. So there are always min(limit, matching) rows.

Which statement the planner can answer from the index is fixed by the statements themselves: the index covers the rows
``WHERE sealed``, so a statement that does not ask for them cannot use it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sqlalchemy as sa
from numpy.typing import ArrayLike
from pgvector import HalfVector, Vector
from sqlalchemy import ColumnElement, FromClause, Select

from ragindex_core.errors import InvalidInput
from ragindex_core.filters import Filter
from ragindex_core.object.spec import Distance
from ragindex_db.compiled import Reader, planned_once, written
from ragindex_db.data_tables import RevisionTables
from ragindex_db.engine import EF_SEARCH
from ragindex_db.search.filter_sql import document_matches, is_found_by_index, matching_documents
from ragindex_db.search.vector_index import index_names

#: With so many chunks or fewer behind a filter, the exact scan is both faster and better.
MOST_EXACT = 10_000
_MOST_EF_SEARCH = 1000  # pgvector's own bound
_LARGEST_HALF, _LARGEST_SINGLE = 65_504.0, float(np.finfo(np.float32).max)

_OPERATORS = {Distance.COSINE: "<=>", Distance.L2: "<->", Distance.INNER_PRODUCT: "<#>"}


class Strategy(StrEnum):
    EXACT = "Exact"
    HNSW = "HNSW"
    HNSW_THEN_EXACT = "HNSWThenExact"  # the index brought too few


@dataclass(frozen=True, slots=True)
class FilterIn:
    """A filter on the documents of one index; ``key`` tells it from others when statements are kept."""

    index_id: int
    expression: Filter = field(compare=False)  # in which Python takes 1, 1.0 and True for the same
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", repr(self.expression))


class VectorHit(NamedTuple):
    """``score``: cosine similarity; of other distances, 1 / (1 + L2) or the inner product. Higher is nearer."""

    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True)
class VectorHits:
    hits: list[VectorHit]
    strategy: Strategy
    matching: int | None = None  # chunks behind the filter, when they were counted: one above the cap means "more"


class _Sent(sa.types.UserDefinedType[Any]):
    """A vector that the driver sends in binary: as text it costs more than the search."""

    cache_ok = True

    def __init__(self, element_type: str) -> None:
        self.element_type = element_type

    def get_col_spec(self, **_: Any) -> str:
        return "halfvec" if self.element_type == "HalfVector" else "vector"


Query: TypeAlias = HalfVector | Vector


def prepared_query(tables: RevisionTables, vector: ArrayLike, distance: Distance = Distance.COSINE) -> Query:
    """``vector`` as it is sent. Raises InvalidInput, naming ``vector``, when it cannot be searched for."""
    values = np.asarray(vector, dtype=np.float64)
    if values.shape != (tables.dimensions,):
        raise InvalidInput.field("vector", f"must be {tables.dimensions} numbers, as the index has them")
    largest = float(np.abs(values).max())
    if not math.isfinite(largest):
        raise InvalidInput.field("vector", "must hold finite numbers only")
    half = tables.element_type == "HalfVector"
    if distance is Distance.COSINE:
        if not largest:
            raise InvalidInput.field("vector", "must not be all zeros: it has no direction")
        values = values / largest  # whose squares can be added up
        values /= math.sqrt(values @ values)
    elif largest > (_LARGEST_HALF if half else _LARGEST_SINGLE):
        raise InvalidInput.field("vector", "holds a number that is too large for the index")
    single = values.astype(np.float32)
    return HalfVector(single) if half else Vector(single)


def search_vectors(
    connection: Reader,
    tables: RevisionTables,
    query: Query,
    limit: int,
    *,
    within: FilterIn | None = None,
    distance: Distance = Distance.COSINE,
    ef_search: int = 100,
    has_index: bool | None = None,
    most_exact: int = MOST_EXACT,
    broad: bool = False,
) -> VectorHits:
    """The min(limit, matching) nearest chunks: nearest first, the lower id first among equals.

    ``has_index`` is what the caller knows of the revision: it saves the question, and when it is out of date only time
    is lost. ``broad`` says that more than ``most_exact`` chunks are behind the filter. May set pgvector's parameters
    for the rest of the transaction.
    """
    bound = {"query": query}
    matching = most_exact + 1 if broad else None
    if within is not None and not broad:
        rows = connection.execute(capped_statement(tables, distance, within, limit, most_exact), bound).all()
        matching = rows[0].matching if rows else 0
        if matching <= most_exact:
            return VectorHits(_hits(rows, distance), Strategy.EXACT, matching)
    if has_index is None:
        has_index = has_valid_index(connection, tables)
    if has_index:
        rows = connection.execute(index_statement(tables, distance, within, limit, ef_search), bound).all()
        if len(rows) == limit:
            return VectorHits(_hits(rows, distance), Strategy.HNSW, matching)
    rows = connection.execute(exact_statement(tables, distance, within, limit), bound).all()
    strategy = Strategy.HNSW_THEN_EXACT if has_index else Strategy.EXACT
    return VectorHits(_hits(rows, distance), strategy, matching)


_PG_INDEX = sa.table("pg_index", sa.column("indexrelid"), sa.column("indisvalid"), schema="pg_catalog")
_NAMES = [sa.func.to_regclass(sa.bindparam(name, type_=sa.Text())) for name in ("name", "second_name")]
_VALID = sa.select(sa.exists().where(_PG_INDEX.c.indexrelid.in_(_NAMES), _PG_INDEX.c.indisvalid))


def has_valid_index(connection: Reader, tables: RevisionTables) -> bool:
    name, second_name = (f"{tables.vector.schema}.{name}" for name in index_names(tables))
    return bool(connection.execute(_VALID, {"name": name, "second_name": second_name}).scalar_one())


def _settings(ef_search: int) -> ColumnElement[bool]:
    """Always true, and evaluated once, before the first row of the scan is asked for: there pgvector reads them."""
    set_it = sa.func.set_config("hnsw.ef_search", str(ef_search), True)
    return sa.select(set_it).scalar_subquery().is_not(None)


def distance_to_query(tables: RevisionTables, rows: FromClause, distance: Distance) -> ColumnElement[float]:
    sent = sa.bindparam("query", type_=_Sent(tables.element_type))
    return rows.c.embedding.op(_OPERATORS[distance], return_type=sa.Float(53))(sent)


def _nearest(rows: FromClause, limit: int) -> Select[Any]:
    # "+ 0": the planner believes that rows come from the index in order and would stop at the first ``limit`` of them.
    order = rows.c.distance + sa.literal_column("0", sa.Float(53))
    return sa.select(rows.c.chunk_id, rows.c.distance).order_by(order, rows.c.chunk_id).limit(written(limit))


# Statements are made once: making one costs as much as running it. Of those with filters the latest are kept.


@lru_cache(maxsize=1024)
def exact_statement(tables: RevisionTables, distance: Distance, within: FilterIn | None, limit: int) -> Select[Any]:
    """``chunk_id`` and ``distance`` of the nearest, by looking at all."""
    if within is not None:
        return kept(_nearest(_measured(tables, distance, within).cte("measured"), limit), within)
    rows = sa.select(tables.vector.c.chunk_id, distance_to_query(tables, tables.vector, distance).label("distance"))
    return planned_once(_nearest(rows.cte("measured"), limit))


def _measured(tables: RevisionTables, distance: Distance, within: FilterIn) -> Select[Any]:
    """Every chunk behind the filter with its distance.

    Document by document through their index, whatever the planner makes of the filter: what that costs is bounded by
    what is found, which a scan of the whole table is not.
    """
    visible = matching_documents(within.index_id, within.expression).cte("visible").prefix_with("MATERIALIZED")
    vector = tables.vector
    of_document = (
        sa.select(vector.c.chunk_id, distance_to_query(tables, vector, distance).label("distance"))
        .where(vector.c.document_id == visible.c[0])
        .offset(0)
        .lateral("of_document")
    )
    return sa.select(of_document.c.chunk_id, of_document.c.distance).select_from(visible.join(of_document, sa.true()))


@lru_cache(maxsize=1024)
def capped_statement(
    tables: RevisionTables, distance: Distance, within: FilterIn, limit: int, most: int
) -> Select[Any]:
    """The answer and, in the same pass, whether it can be believed: no more than the cap were looked at."""
    measured = _measured(tables, distance, within).limit(most + 1).cte("measured")
    count = sa.select(sa.func.count()).select_from(measured).scalar_subquery()
    return kept(_nearest(measured, limit).add_columns(count.label("matching")), within)


def kept(statement: Select[Any], within: FilterIn) -> Select[Any]:
    """The documents of one comparison are found through its index, whatever its value; of several, the planner has to
    see which leaves the fewest."""
    return planned_once(statement) if is_found_by_index(within.expression) else statement


@lru_cache(maxsize=1024)
def index_statement(
    tables: RevisionTables, distance: Distance, within: FilterIn | None, limit: int, ef_search: int
) -> Select[Any]:
    """The same by the index for the sealed rows, beside a look at all the others."""
    vector = tables.vector
    measure = distance_to_query(tables, vector, distance)
    rows = sa.select(vector.c.chunk_id, measure.label("distance")).order_by(measure)
    if within is not None:
        rows = rows.where(document_matches(within.expression, vector.c.document_id))
    wanted = max(ef_search, 2 * limit)
    if within is not None:
        wanted *= 2  # of what the index comes upon, most is filtered out: the same depth finds less
    wanted = min(wanted, _MOST_EF_SEARCH)
    by_index = rows.where(vector.c.sealed)
    if wanted != EF_SEARCH:
        by_index = by_index.where(_settings(wanted))
    # A filtered scan goes on in batches, each in order but not all together: read further, then sort.
    sealed = by_index.limit(written(limit if within is None else 2 * limit)).cte("sealed")
    head = rows.where(~vector.c.sealed).order_by(vector.c.chunk_id).limit(written(limit)).cte("head")
    nearest = _nearest(sa.union_all(sa.select(sealed), sa.select(head)).subquery("both"), limit)
    return nearest if within is not None else planned_once(nearest)


def _hits(rows: Sequence[sa.Row[Any]], distance: Distance) -> list[VectorHit]:
    return [VectorHit(row.chunk_id, score_of(row.distance, distance)) for row in rows]


def score_of(distance_found: float, distance: Distance) -> float:
    if math.isnan(distance_found):
        return -1.0  # a vector of zeros has no direction: it comes last, as in the database
    match distance:
        case Distance.COSINE:
            return 1.0 - distance_found
        case Distance.L2:
            return 1.0 / (1.0 + distance_found)
        case Distance.INNER_PRODUCT:
            return -distance_found
