"""What can be compared of two objects that were told the same: status, schedule, catalogue and tables, without what is
another for each object, and without what tells of the way and not of the end.

Left out: numbers, times and sizes on disk; former revisions and proofs of absence; requests and how many runs there
were, and why; how postings are cut into segments, which depends on when pods ended; the embedder's limit where no
document is, for it is told of with the first one that was ever embedded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from tests.kube.harness.api import Object

from ragindex_core.object.revision import complete
from ragindex_db import schema, signals
from ragindex_db.data_tables import revision_tables
from ragindex_db.engine import Connection, Database


def of_status(status: dict[str, Any]) -> dict[str, Any]:
    active = {key: value for key, value in status["activeRevision"].items() if key not in ("id", "promotedAt")}
    if not active["documents"]:
        active.pop("effectiveMaxTokens", None)
    database = {key: value for key, value in status["database"].items() if key != "sizeBytes"}
    ingestion = status["ingestion"]
    return {
        "conditions": sorted(f"{each['type']} {each['status']} {each['reason']}" for each in status["conditions"]),
        "documents": status["documents"],
        "active": active,
        "pending": status.get("pendingRevision"),
        "database": database,
        "failures in a row": ingestion["consecutiveFailures"],
        "next run": ingestion.get("nextScheduledTime"),
    }


def of_schedule(body: Object) -> dict[str, Any]:
    metadata = body["metadata"]
    return {
        "name": metadata["name"],
        "labels": metadata["labels"],
        "spec": body["spec"],
        "owners": metadata["ownerReferences"],
    }


def _index_id(connection: Connection, uid: str) -> int:
    found: int = connection.execute(sa.select(schema.indexes.c.id).where(schema.indexes.c.uid == uid)).scalar_one()
    return found


def readers_leave(database: Database, uid: str) -> None:
    """Nobody waits a minute until no reader can have a revision in mind any more that is to be dropped."""
    revisions = schema.revisions
    with database.begin() as connection:
        index_id = _index_id(connection, uid)
        left = sa.update(revisions).where(revisions.c.index_id == index_id, revisions.c.state == "Dropping")
        connection.execute(left.values(retired_at=sa.func.now() - timedelta(hours=1)))
        signals.send(connection, f"index:{index_id}")


def falling(database: Database, uid: str) -> bool:
    r = schema.revisions.c
    with database.begin() as connection:
        of_it = sa.select(sa.func.count()).where(r.index_id == _index_id(connection, uid), r.state == "Dropping")
        return connection.execute(of_it).scalar_one() > 0


#: Columns that tell of the way, or are a number that was given out.
_VARYING = re.compile(
    r"^(id|.*_id|.*_at|.*_until|lease_.*|change|generation|attempts|status|object_metadata|projection|data)$"
)


def _plain(rows: Iterable[Any], *more: str) -> list[str]:
    return sorted(
        repr({key: value for key, value in row._mapping.items() if not _VARYING.match(key) and key not in more})
        for row in rows
    )


def of_catalogue(database: Database, uid: str) -> dict[str, Any]:
    """Rows without numbers and times, and the shapes and row counts of the active revision's tables."""
    d, rd, c = schema.documents, schema.revision_documents, schema.contents
    with database.begin() as connection:
        index_id = _index_id(connection, uid)

        def rows(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> list[str]:
            return _plain(connection.execute(sa.select(table).where(table.c.index_id == index_id, *conditions)))

        [active] = connection.execute(
            sa.select(schema.revisions).where(
                schema.revisions.c.index_id == index_id, schema.revisions.c.state == "Active"
            )
        ).all()
        there = d.c.deleted_at.is_(None)
        named = sa.select(d.c.source, d.c.key, rd).join(d, d.c.id == rd.c.document_id)
        texts = sa.select(d.c.source, d.c.key, c).join(d, d.c.id == c.c.document_id)
        own = sa.select(schema.indexes).where(schema.indexes.c.id == index_id)
        last = sa.select(schema.sync_runs.c.state, schema.sync_runs.c.inputs, schema.sync_runs.c.message)
        last = last.where(schema.sync_runs.c.index_id == index_id).order_by(schema.sync_runs.c.id.desc()).limit(1)
        kept = [row[0] for row in connection.execute(_kept(index_id))]
        return {
            "row": _plain(connection.execute(own)),
            "serves the active": connection.execute(own).one().serving_revision_id == active.id,
            "revision": [active.key, active.embedding_allowed, active.analyser_version],
            "documents of the catalogue": rows(d, there),
            "metadata": rows(schema.document_metadata),
            "documents of the revision": _plain(connection.execute(named.where(rd.c.revision_id == active.id))),
            "texts": _plain(connection.execute(texts.where(d.c.index_id == index_id, there))),
            "copies": rows(schema.config_maps),
            "entries": rows(schema.config_map_entries),
            "last run": [repr(row) for row in connection.execute(last)],
            "tables of the active": _shape(connection, active.id),
            "rows of the active": _counts(connection, active),
            "tables of no revision": _orphans(connection),
            "kept without tables": [number for number in kept if number not in set(map(_number, _tables(connection)))],
        }


def _kept(index_id: int) -> sa.Select[Any]:
    r = schema.revisions.c
    return sa.select(r.id).where(r.index_id == index_id, r.state.in_(["Active", "Retained"]))


def _orphans(connection: Connection) -> list[str]:
    """Tables of no revision that may have any, of whatever object: others are made and dropped while we look."""
    r = schema.revisions.c
    may_have = sa.select(r.id).where(r.state != "Dropped")
    before = set(connection.execute(may_have).scalars())
    there = _tables(connection)
    after = set(connection.execute(may_have).scalars())
    return [name for name in there if _number(name) not in before | after]


def _tables(connection: Connection) -> list[str]:
    return sorted(sa.inspect(connection).get_table_names(schema=schema.DATA_SCHEMA))


def _number(table: str) -> int:
    found = re.search(r"_(\d+)", table)
    assert found is not None, f"whose table is {table}?"
    return int(found[1])


def _shape(connection: Connection, revision_id: int) -> list[str]:
    """Columns with their types, and indexes."""
    columns = sa.text(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage::text"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'ragindex_data' AND a.attnum > 0 AND NOT a.attisdropped"
    )
    described = [tuple(row) for row in connection.execute(columns) if _number(row[0]) == revision_id]
    return sorted(re.sub(rf"_{revision_id}\b|_{revision_id}_", "_R_", repr(each)) for each in described)


def _counts(connection: Connection, revision: Any) -> dict[str, int]:
    """Postings are not among them: how they are cut into segments depends on when a pod ended."""
    built = complete(dict(revision.projection))
    tables = revision_tables(revision.id, built["embedding.dimensions"], built["embedding.elementType"])
    of_each = {"chunks": tables.chunk, "vectors": tables.vector, "terms": tables.keyword.terms}
    counted = sa.select(sa.func.count())
    return {name: connection.execute(counted.select_from(table)).scalar_one() for name, table in of_each.items()}
