"""All that a database holds of RagIndex, without what differs from run to run: times, numbers, leases.

Two databases of which this is equal are in the same state: rows of the catalogue, tables and indexes of the revisions
with their rows, and the status that readers see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ragindex_db import schema, search
from ragindex_db.data_tables import revision_tables

_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
#: Numbers given out, and measures of the storage.
_VARYING = {"id", "change", "epoch", "holder", "sizeBytes", "lastRun"}
#: The same statements for every database.
_COMPILED: dict[Any, Any] = {}
_DATA = sa.text(
    "SELECT c.relname, c.relkind::text, COALESCE(i.indisvalid, true), c.reloptions::text FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid"
    " WHERE n.nspname = 'ragindex_data' AND c.relkind IN ('r', 'i')"
)


def state(url: str) -> dict[str, Any]:
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execution_options(compiled_cache=_COMPILED)
        names = _Names(connection)
        found = {
            table.name: sorted(repr(names.plain(row._mapping)) for row in connection.execute(sa.select(table)))
            for table in schema.metadata.sorted_tables
        }
        return found | {"tables and indexes": names.relations(connection), **names.rows(connection)}


class _Names:
    """What numbers stand for."""

    def __init__(self, connection: sa.Connection) -> None:
        def pairs(*columns: Any) -> dict[Any, Any]:
            return {row[0]: tuple(row[1:]) for row in connection.execute(sa.select(*columns))}

        d, c, r = schema.documents.c, schema.contents.c, schema.revisions.c
        self._revisions = {k: f"r{v[0]}" for k, v in pairs(r.id, r.number).items()}
        self._documents = pairs(d.id, d.key)
        self._of = {
            "index_id": pairs(schema.indexes.c.id, schema.indexes.c.uid),
            "revision_id": self._revisions,
            "serving_revision_id": self._revisions,
            "document_id": self._documents,
            "content_id": {
                k: (self._documents.get(v[0]), v[1]) for k, v in pairs(c.id, c.document_id, c.version).items()
            },
        }
        self._kept = connection.execute(
            sa.select(r.id, r.projection["embedding.dimensions"].as_integer()).where(r.tables_ready)
        ).all()

    def plain(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        return {str(k): self._value(str(k), v) for k, v in row.items() if k not in _VARYING}

    def _value(self, name: str, value: Any) -> Any:
        if value is not None and name in self._of:
            return self._of[name].get(value, f"no such {name}")
        match value:
            case datetime():
                return "a time"
            case str():
                return "a token" if name == "lease_token" else _TIME.sub("a time", value)
            case dict():
                return {k: self._value(k, v) for k, v in sorted(value.items()) if k not in _VARYING}
            case list():
                return [self._value("", each) for each in value]
        return value

    def relations(self, connection: sa.Connection) -> list[str]:
        def named(name: str) -> str:
            return re.sub(
                r"_(\d+)", lambda found: f"_{self._revisions.get(int(found[1]), 'no revision')}", name, count=1
            )

        return sorted(f"{named(name)} {' '.join(map(str, rest))}" for name, *rest in connection.execute(_DATA))

    def rows(self, connection: sa.Connection) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for revision_id, dimensions in self._kept:
            tables, number = revision_tables(revision_id, dimensions, "HalfVector"), self._revisions[revision_id]
            chunk = tables.chunk.c
            texts = connection.execute(sa.select(chunk.document_id, chunk.ordinal, chunk.text)).all()
            found[f"chunks of {number}"] = sorted((*self._documents[row[0]], row[1], row[2]) for row in texts)
            for table in (tables.vector, tables.keyword.terms):
                ids = connection.execute(
                    sa.select(chunk.document_id, chunk.ordinal).join(table, table.c.chunk_id == chunk.id)
                )
                every = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                kind = table.name.split("_")[0]
                found[f"{kind} of {number}"] = (every, sorted((*self._documents[row[0]], row[1]) for row in ids))
            found[f"index of {number}"] = search.vector_index_state(connection, tables).state
        return found
