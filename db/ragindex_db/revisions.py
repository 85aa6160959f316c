"""Revisions: what was built from which model and chunking, in what state, with how much in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.schema import CreateSchema

from ragindex_core.errors import Gone
from ragindex_core.object.revision import complete
from ragindex_core.reconcile.estimate import Waiting
from ragindex_db import schema
from ragindex_db.compiled import Reader
from ragindex_db.data_tables import RevisionTables, revision_tables
from ragindex_db.schema import DATA_SCHEMA, revision_documents, revisions


@dataclass(frozen=True, slots=True)
class RevisionRow:
    id: int
    index_id: int
    number: int
    key: str
    projection: Mapping[str, Any]
    state: str
    analyser_version: int
    tables_ready: bool
    embedding_allowed: bool
    approved: bool
    effective_max_tokens: int | None
    estimated_tokens: int | None
    estimated_cost_micro_usd: int | None
    created_at: datetime
    promoted_at: datetime | None
    retired_at: datetime | None
    dropped_at: datetime | None

    @property
    def tables(self) -> RevisionTables:
        built = complete(dict(self.projection))
        return revision_tables(self.id, built["embedding.dimensions"], built["embedding.elementType"])


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents of one revision by state, and the chunks that can be found."""

    total: int = 0
    indexed: int = 0
    pending: int = 0
    processing: int = 0
    failed: int = 0
    chunks: int = 0
    tokens: int = 0
    searchable: int = 0  # documents with chunks: a Failed or Processing one may have those of an older version


_COLUMNS = [revisions.c[name] for name in RevisionRow.__slots__]
_KEPT = ("Building", "Active", "Retained")
#: Made once, as that takes longer than to run them.
_LIST_KEPT = (
    sa.select(*_COLUMNS)
    .where(revisions.c.index_id == sa.bindparam("index_id"), revisions.c.state.in_([*_KEPT, "Dropping"]))
    .order_by(revisions.c.number)
)
_BY_NUMBER = sa.select(*_COLUMNS).where(
    revisions.c.index_id == sa.bindparam("index_id"),
    revisions.c.number == sa.bindparam("number"),
    revisions.c.state != "Dropped",
)


def _record(row: Row[Any]) -> RevisionRow:
    return RevisionRow(**row._mapping)


def create(
    connection: Connection, index_id: int, key: str, projection: Mapping[str, Any], analyser_version: int
) -> RevisionRow:
    last = sa.select(sa.func.coalesce(sa.func.max(revisions.c.number), 0)).where(revisions.c.index_id == index_id)
    statement = (
        sa.insert(revisions)
        .values(
            index_id=index_id,
            number=last.scalar_subquery() + 1,
            key=key,
            projection=projection,
            state="Building",
            analyser_version=analyser_version,
        )
        .returning(*_COLUMNS)
    )
    return _record(connection.execute(statement).one())


def get(connection: Reader, revision_id: int) -> RevisionRow:
    row = connection.execute(sa.select(*_COLUMNS).where(revisions.c.id == revision_id)).one_or_none()
    if row is None or row.state in ("Dropping", "Dropped"):
        raise Gone("this revision of the index has been dropped")
    return _record(row)


def list_kept(connection: Connection, index_id: int) -> list[RevisionRow]:
    """Building, active and retained revisions, and those whose drop was begun, oldest first."""
    return [_record(row) for row in connection.execute(_LIST_KEPT, {"index_id": index_id})]


def with_tables(connection: Connection, index_id: int) -> list[RevisionRow]:
    """Those that hold data: what a change or a delete of a document must reach. Locked against a concurrent drop."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(revisions.c.index_id == index_id, revisions.c.state.in_(_KEPT), revisions.c.tables_ready)
        .order_by(revisions.c.id)
        .with_for_update(key_share=True, read=True)
    )
    return [_record(row) for row in rows]


def searchable(connection: Connection, index_id: int | None = None) -> list[RevisionRow]:
    """The revisions that are, or will be, searched: those worth keeping in order."""
    statement = (
        sa.select(*_COLUMNS)
        .join(schema.indexes, schema.indexes.c.id == revisions.c.index_id)
        .where(
            revisions.c.state.in_(["Building", "Active"]),
            revisions.c.tables_ready,
            schema.indexes.c.retained_at.is_(None),
        )
        .order_by(revisions.c.id)
    )
    if index_id is not None:
        statement = statement.where(revisions.c.index_id == index_id)
    return [_record(row) for row in connection.execute(statement)]


def now() -> Any:
    """The database's clock, as a value for ``update``."""
    return sa.func.now()


def update(connection: Connection, revision_id: int, **values: Any) -> None:
    connection.execute(sa.update(revisions).where(revisions.c.id == revision_id).values(**values))


def counts(connection: Connection, revision_ids: Sequence[int]) -> dict[int, Counts]:
    rd = revision_documents.c

    def in_state(*states: str) -> sa.ColumnElement[int]:
        return sa.func.count().filter(rd.state.in_(states))

    rows = connection.execute(
        sa.select(
            rd.revision_id,
            sa.func.count(),
            in_state("Indexed"),
            in_state("Pending", "Waiting"),
            in_state("Processing"),
            in_state("Failed"),
            sa.func.coalesce(sa.func.sum(rd.chunks), 0),
            sa.func.coalesce(sa.func.sum(rd.tokens), 0),
            sa.func.count().filter(rd.chunks > 0),
        )
        .where(rd.revision_id.in_(revision_ids))
        .group_by(rd.revision_id)
    )
    found = {row[0]: Counts(*(int(value) for value in row[1:])) for row in rows}
    return {revision_id: found.get(revision_id, Counts()) for revision_id in revision_ids}


def live_documents(connection: Connection, index_id: int) -> int:
    """What each revision should hold or have queued."""
    live = sa.select(sa.func.count()).where(
        schema.documents.c.index_id == index_id, schema.documents.c.deleted_at.is_(None)
    )
    return int(connection.execute(live).scalar_one())


def coverage(connection: Connection, active: int, revision_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """How many documents can be found in the active revision, and how many of those each revision has indexed."""
    now, then = revision_documents.alias("now"), revision_documents.alias("then")
    surviving = connection.execute(
        sa.select(sa.func.count()).select_from(now).where(now.c.revision_id == active, now.c.chunks > 0)
    ).scalar_one()
    rows = connection.execute(
        sa.select(then.c.revision_id, sa.func.count())
        .join(now, now.c.document_id == then.c.document_id)
        .where(
            now.c.revision_id == active,
            now.c.chunks > 0,
            then.c.revision_id.in_(revision_ids),
            then.c.state == "Indexed",
        )
        .group_by(then.c.revision_id)
    )
    covered = {row[0]: int(row[1]) for row in rows}
    return {revision_id: (int(surviving), covered.get(revision_id, 0)) for revision_id in revision_ids}


def by_number(connection: Connection, index_id: int, number: int) -> RevisionRow | None:
    row = connection.execute(_BY_NUMBER, {"index_id": index_id, "number": number}).one_or_none()
    return None if row is None else _record(row)


def waiting(connection: Connection, revision_id: int) -> list[Waiting]:
    """What this revision's queue holds, by kind of file: characters of texts parsed for any revision, else bytes."""
    text, document = schema.contents.c.text, schema.documents.c
    # An ideogram takes three bytes and a letter mostly one: what lies between the two counts says how many there are.
    ideograms = (sa.func.octet_length(text) - sa.func.length(text)) / 2
    known = (
        sa.select(
            schema.contents.c.document_id,
            sa.func.max(sa.func.length(text)).label("characters"),
            sa.func.max(ideograms).label("ideograms"),
        )
        .group_by(schema.contents.c.document_id)
        .subquery()
    )
    extension = sa.func.lower(sa.func.coalesce(sa.func.substring(document.key, r"\.([^./]+)$"), ""))
    statement = (
        sa.select(
            extension,
            sa.func.coalesce(sa.func.sum(known.c.characters - known.c.ideograms), 0),
            sa.func.coalesce(sa.func.sum(known.c.ideograms), 0),
            sa.func.coalesce(sa.func.sum(document.size).filter(known.c.characters.is_(None)), 0),
        )
        .select_from(revision_documents)
        .join(schema.documents, document.id == revision_documents.c.document_id)
        .outerjoin(known, known.c.document_id == revision_documents.c.document_id)
        .where(revision_documents.c.revision_id == revision_id, revision_documents.c.state == "Pending")
        .group_by(extension)
    )
    return [Waiting(str(row[0]), *(int(n) for n in row[1:])) for row in connection.execute(statement)]


def create_tables(connection: Connection, tables: RevisionTables) -> None:
    connection.execute(CreateSchema(DATA_SCHEMA, if_not_exists=True))
    described = replace(tables)  # for this once: nobody searches here, and the memory is free again
    described.metadata.create_all(connection, checkfirst=True)
    update(connection, tables.revision_id, tables_ready=True)


def drop_tables(connection: Connection, tables: RevisionTables) -> None:
    """Takes its locks as a worker that writes does, rows of the queue by document and then tables: else the two would
    wait for each other."""
    queued = revision_documents.c.revision_id == tables.revision_id
    document_id = revision_documents.c.document_id
    connection.execute(sa.select(document_id).where(queued).order_by(document_id).with_for_update())
    connection.execute(sa.delete(revision_documents).where(queued))
    replace(tables).metadata.drop_all(connection, checkfirst=True)  # described for this once
    update(connection, tables.revision_id, tables_ready=False, state="Dropped", dropped_at=sa.func.now())


def size_bytes(connection: Connection, tables: Sequence[RevisionTables]) -> int:
    names = [f"{DATA_SCHEMA}.{name}" for each in tables for name in each.names]
    if not names:
        return 0
    name = sa.func.unnest(sa.cast(names, sa.ARRAY(sa.Text))).column_valued("name")
    sizes = sa.func.pg_total_relation_size(sa.func.to_regclass(name))
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.sum(sizes), 0))).scalar_one())


def enqueue_all(connection: Connection, revision: RevisionRow, namespace: str) -> int:
    """Every document the catalogue knows goes into this revision's queue, unless it is there already.

    The documents are locked, in the order in which a delete locks them: one that is being deleted is waited for, and
    then left out. Else its place in the queue would come after it was gone, and nobody could ever work it off.
    """
    d, queued = schema.documents.c, revision_documents.alias("queued")
    there = sa.exists().where(queued.c.revision_id == revision.id, queued.c.document_id == d.id)
    known = (
        sa.select(sa.literal(revision.id), d.id, d.index_id, sa.literal(namespace))
        .where(d.index_id == revision.index_id, d.deleted_at.is_(None), ~there)
        .order_by(d.id)
        .with_for_update(key_share=True, read=True, of=schema.documents)
    )
    statement = (
        sa.dialects.postgresql.insert(revision_documents)
        .from_select(["revision_id", "document_id", "index_id", "namespace"], known)
        .on_conflict_do_nothing()
    )
    return connection.execute(statement).rowcount
