"""The HNSW index of a revision: its state, read from the catalogue, its building, and moving new rows into it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection, Row
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import CreateIndex, DropIndex

from ragindex_core.errors import NotReady
from ragindex_core.object.spec import Distance
from ragindex_db.data_tables import MOST_INDEXED_DIMENSIONS, RevisionTables
from ragindex_db.engine import Database
from ragindex_db.schema import DATA_SCHEMA
from ragindex_db.server import server

#: Any number will do, so long as it is ours and the same for all: advisory locks are a database's own.
_BUILD_LOCK = 7_241_053_312
#: Earlier versions write past a buffer when several processes build.
_BUILDS_IN_PARALLEL = (0, 8, 2)
_LEAST_MEMORY = 64 << 20
#: An index of fewer is made of pages half empty, and nothing to be concerned about.
_FEW_ROWS = 1000
_NOTE = re.compile(r"built of ([0-9]{1,18}) rows in ([0-9]{1,18}) bytes")
_OPERATOR_CLASSES = {Distance.COSINE: "cosine", Distance.L2: "l2", Distance.INNER_PRODUCT: "ip"}


class IndexState(StrEnum):
    ABSENT = "Absent"
    BUILDING = "Building"
    VALID = "Valid"
    ABANDONED = "Abandoned"  # a build was begun, or one that was to take its place made, and nobody is at it


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Of the index in use or, when there is none, of the one that is being built or was left behind.

    ``done`` of ``total`` blocks are read while it is being built.
    """

    state: IndexState
    m: int | None = None
    ef_construction: int | None = None
    size_bytes: int = 0
    done: int = 0
    total: int = 0


def can_be_indexed(tables: RevisionTables) -> bool:
    """Rows of more dimensions than an index takes are searched exactly for good."""
    return tables.dimensions <= MOST_INDEXED_DIMENSIONS[tables.element_type]


def index_names(tables: RevisionTables) -> tuple[str, str]:
    """Two, so that an index with other parameters can be built while the one there is serves."""
    return tables.vector_index_name, f"{tables.vector_index_name}_2"


_CLASS = sa.table(
    "pg_class",
    *map(sa.column, ("oid", "relname", "relnamespace", "reloptions", "reltuples")),
    schema="pg_catalog",
)
_NAMESPACE = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname"), schema="pg_catalog")
_INDEX = sa.table("pg_index", *map(sa.column, ("indexrelid", "indrelid", "indisvalid")), schema="pg_catalog")
_PROGRESS = sa.table(
    "pg_stat_progress_create_index",
    *map(sa.column, ("index_relid", "blocks_done", "blocks_total")),
    schema="pg_catalog",
)
_STATES = (
    sa.select(
        _CLASS.c.relname.label("name"),
        _CLASS.c.reloptions.label("options"),
        _INDEX.c.indisvalid.label("valid"),
        sa.func.pg_relation_size(_CLASS.c.oid).label("size"),
        _PROGRESS.c.index_relid.is_not(None).label("live"),
        sa.func.coalesce(_PROGRESS.c.blocks_done, 0).label("done"),
        sa.func.coalesce(_PROGRESS.c.blocks_total, 0).label("total"),
        # The first is exact when the index is built or vacuumed; the second grows with the table, a crash clears it.
        sa.func.greatest(_CLASS.c.reltuples, sa.func.pg_stat_get_live_tuples(_INDEX.c.indrelid)).label("rows"),
        sa.func.obj_description(_CLASS.c.oid, "pg_class").label("note"),
    )
    .select_from(_CLASS)
    .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
    .join(_INDEX, _INDEX.c.indexrelid == _CLASS.c.oid)
    .outerjoin(_PROGRESS, _PROGRESS.c.index_relid == _CLASS.c.oid)
    .where(
        _NAMESPACE.c.nspname == sa.bindparam("schema"),
        _CLASS.c.relname == sa.any_(sa.bindparam("names", type_=ARRAY(sa.Text))),
    )
    .order_by(_INDEX.c.indisvalid.desc(), _PROGRESS.c.index_relid.is_(None), _CLASS.c.oid.desc())
)


def vector_index_state(connection: Connection, tables: RevisionTables) -> VectorIndex:
    """To be asked of the writer, by the role that builds: others do not see who is building."""
    rows = _indexes(connection, tables)
    if not rows:
        return VectorIndex(IndexState.ABSENT)
    row, *others = rows
    if all(other.live for other in others):
        state = IndexState.VALID if row.valid else IndexState.BUILDING if row.live else IndexState.ABANDONED
    else:
        state = IndexState.ABANDONED
    options = dict(option.split("=", 1) for option in row.options or ())
    return VectorIndex(
        state=state,
        m=int(options["m"]) if "m" in options else None,
        ef_construction=int(options["ef_construction"]) if "ef_construction" in options else None,
        size_bytes=row.size,
        done=row.done,
        total=row.total,
    )


def vector_index_bloat(connection: Connection, tables: RevisionTables) -> float | None:
    """How many times as large the index in use is as one of today's rows would be: 1.0 when it was just built.

    Deletes and updates leave holes in it, which later rows may fill but which it never gives back. Counted by what the
    server knows of itself as of the last vacuum, so it is told late rather than too high. None when there is no index,
    or one so small, or so old, that nobody can tell.
    """
    row = next((row for row in _indexes(connection, tables) if row.valid), None)
    built = _Built.read(row.note) if row is not None else None
    if row is None or built is None or built.rows < _FEW_ROWS:
        return None
    return float(row.size * built.rows / (built.bytes * max(row.rows, 1)))


def vector_index_exists(connection: Connection, tables: RevisionTables) -> bool:
    """Whether inserts have an index to maintain, be it valid or not."""
    return bool(_indexes(connection, tables))


def _indexes(connection: Connection, tables: RevisionTables) -> Sequence[Row[Any]]:
    """Valid ones first, then the one being built."""
    bound = {"schema": DATA_SCHEMA, "names": list(index_names(tables))}
    return connection.execute(_STATES, bound).all()


def build_vector_index(
    database: Database,
    tables: RevisionTables,
    *,
    m: int,
    ef_construction: int,
    distance: Distance = Distance.COSINE,
    again: bool = False,
    most_memory_bytes: int = 1 << 30,
) -> None:
    """Make sure that there is a valid index with these parameters, beside all traffic; ``again``: a new one, though
    there be one already.

    The one there is serves until then; what an abandoned build left is dropped first. Raises NotReady while another
    build runs in this database.
    """
    with _only_builder(database) as connection:
        current = vector_index_state(connection, tables)
        if not again and (current.state, current.m, current.ef_construction) == (IndexState.VALID, m, ef_construction):
            return
        there = _indexes(connection, tables)
        if any(row.live and not row.valid for row in there):
            raise NotReady("this index is being built", retry_after_seconds=10)
        _drop(connection, tables, [row.name for row in there if not row.valid])
        serving = [row.name for row in there if row.valid]
        free = next(name for name in index_names(tables) if name not in serving[:1])
        _drop(connection, tables, serving[1:])
        _size_memory(connection, tables, m, most_memory_bytes)
        index = _index(tables, free, m=m, ef_construction=ef_construction, distance=distance)
        connection.execute(CreateIndex(index, if_not_exists=True))
        _note_size(connection, tables, free)
        _drop(connection, tables, serving[:1])


def drop_vector_index(database: Database, tables: RevisionTables) -> None:
    """Drop what an abandoned build left or, when there is nothing of that, the index. Raises NotReady while a build
    runs in this database."""
    with _only_builder(database) as connection:
        there = _indexes(connection, tables)
        if any(row.live and not row.valid for row in there):
            raise NotReady("this index is being built", retry_after_seconds=10)
        left = there[1:] if there and there[0].valid else ()
        _drop(connection, tables, [row.name for row in left or there])


@contextmanager
def _only_builder(database: Database) -> Iterator[Connection]:
    """A connection of its own, closed at the end: the lock and the settings go with it, however this ends."""
    with database.autocommit() as connection:
        connection.detach()
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_BUILD_LOCK))).scalar_one():
            raise NotReady("another index is being built in this database", retry_after_seconds=10)
        _set(connection, "statement_timeout", "0")
        yield connection


def _set(connection: Connection, name: str, value: str) -> None:
    connection.execute(sa.select(sa.func.set_config(name, value, False)))


def _index(
    tables: RevisionTables, name: str, *, m: int, ef_construction: int, distance: Distance = Distance.COSINE
) -> sa.Index:
    """On a copy of the table: the table itself is made without it, and is shared by all who search."""
    vector = tables.vector.to_metadata(sa.MetaData())
    element = "halfvec" if tables.element_type == "HalfVector" else "vector"
    return sa.Index(
        name,
        vector.c.embedding,
        postgresql_using="hnsw",
        postgresql_ops={"embedding": f"{element}_{_OPERATOR_CLASSES[distance]}_ops"},
        postgresql_with={"m": m, "ef_construction": ef_construction},
        postgresql_where=vector.c.sealed,
        postgresql_concurrently=True,
    )


def _drop(connection: Connection, tables: RevisionTables, names: Sequence[str]) -> None:
    for name in names:
        connection.execute(DropIndex(_index(tables, name, m=16, ef_construction=64), if_exists=True))


@dataclass(frozen=True, slots=True)
class _Built:
    """What an index was when it was built; written on the index itself, and gone with it."""

    rows: int
    bytes: int

    @classmethod
    def read(cls, note: str | None) -> _Built | None:
        found = _NOTE.fullmatch(note or "")
        return None if found is None else cls(rows=int(found[1]), bytes=int(found[2]))

    def __str__(self) -> str:
        return f"built of {self.rows} rows in {self.bytes} bytes"


def _note_size(connection: Connection, tables: RevisionTables, name: str) -> None:
    row = next(row for row in _indexes(connection, tables) if row.name == name)
    statement = sql.SQL("COMMENT ON INDEX {index} IS {note}").format(
        index=sql.Identifier(tables.vector.schema or "", name), note=sql.Literal(str(_Built(int(row.rows), row.size)))
    )
    driver = connection.connection.dbapi_connection  # it is detached, and no pool's any more
    assert isinstance(driver, psycopg.Connection)
    driver.execute(statement)


def _size_memory(connection: Connection, tables: RevisionTables, m: int, most: int) -> None:
    """Enough to hold the whole graph: one that outgrows its memory while it is built takes three times as long."""
    rows = connection.execute(sa.select(sa.func.count()).select_from(tables.vector)).scalar_one()
    component = 2 if tables.element_type == "HalfVector" else 4
    links = 44 * m  # bytes for the neighbours of a row over all its levels, as measured
    needed = rows * (tables.dimensions * component + links) * 5 // 4
    _set(connection, "maintenance_work_mem", f"{min(max(needed, _LEAST_MEMORY), most) >> 10}kB")
    version = (server(connection).pgvector or "0").split(".")
    if tuple(int(part) for part in version[:3]) < _BUILDS_IN_PARALLEL:
        _set(connection, "max_parallel_maintenance_workers", "0")


def seal_vectors(connection: Connection, tables: RevisionTables, limit: int) -> int:
    """Move up to ``limit`` rows from the head, which is searched exactly, into the index. Returns how many."""
    vector = tables.vector
    head = (
        sa.select(vector.c.chunk_id)
        .where(~vector.c.sealed)
        .order_by(vector.c.chunk_id)
        .limit(limit)
        # A row that somebody is about to delete is left to them.
        .with_for_update(skip_locked=True)
    )
    moved = connection.execute(sa.update(vector).where(vector.c.chunk_id.in_(head)).values(sealed=True))
    return moved.rowcount


def has_unsealed_vectors(connection: Connection, tables: RevisionTables) -> bool:
    """Whether there are rows that are still to be moved into the index, be it by someone else just now."""
    return connection.execute(sa.select(sa.exists().where(~tables.vector.c.sealed))).scalar_one()
