"""Indexes: one row an object, and which of its revisions queries read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from ragindex_core.errors import NotFound
from ragindex_db import schema
from ragindex_db.compiled import Reader
from ragindex_db.schema import indexes


@dataclass(frozen=True, slots=True)
class IndexRow:
    id: int
    uid: str
    namespace: str
    name: str
    generation: int
    object_metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    knowledge_base_id: str
    base_path: str | None
    serving_revision_id: int | None
    held_revision_key: str | None
    suspended: bool
    inputs: str | None
    created_at: datetime
    retained_at: datetime | None

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


_COLUMNS = [indexes.c[name] for name in IndexRow.__slots__]
#: Made once, as that takes longer than to run it: an operator asks ten times a look.
_BY_UID = sa.select(*_COLUMNS).where(indexes.c.uid == sa.bindparam("uid"))


def _record(row: Row[Any]) -> IndexRow:
    return IndexRow(**row._mapping)


def register(
    connection: Connection,
    *,
    installation: str,
    uid: str,
    namespace: str,
    name: str,
    generation: int,
    object_metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    knowledge_base_id: str,
    base_path: str | None,
    suspended: bool,
    inputs: str | None = None,
) -> IndexRow:
    """The row of the object with this uid, made or brought to this generation of its spec."""
    values = {
        "generation": generation,
        "object_metadata": object_metadata,
        "spec": spec,
        "base_path": base_path,
        "suspended": suspended,
        "inputs": inputs,
        "change": schema.change_numbers.next_value(),
    }
    statement = (
        sa.dialects.postgresql.insert(indexes)
        .values(
            installation_id=installation,
            uid=uid,
            namespace=namespace,
            name=name,
            knowledge_base_id=knowledge_base_id,
            **values,
        )
        .on_conflict_do_update(index_elements=[indexes.c.uid], set_={**values, "retained_at": None})
        .returning(*_COLUMNS)
    )
    return _record(connection.execute(statement).one())


def find(connection: Reader, installation: str, namespace: str, name: str) -> IndexRow:
    row = connection.execute(
        sa.select(*_COLUMNS).where(
            indexes.c.installation_id == installation,
            indexes.c.namespace == namespace,
            indexes.c.name == name,
            indexes.c.retained_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no index {namespace}/{name}")
    return _record(row)


def get(connection: Connection, index_id: int) -> IndexRow:
    row = connection.execute(sa.select(*_COLUMNS).where(indexes.c.id == index_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no index with the id {index_id}")
    return _record(row)


def by_uid(connection: Connection, uid: str) -> IndexRow | None:
    row = connection.execute(_BY_UID, {"uid": uid}).one_or_none()
    return None if row is None else _record(row)


def full_name(connection: Connection, installation: str, index_id: int) -> str | None:
    """``namespace/name``, were it this installation's."""
    row = connection.execute(
        sa.select(indexes.c.namespace, indexes.c.name).where(
            indexes.c.id == index_id, indexes.c.installation_id == installation
        )
    ).one_or_none()
    return None if row is None else f"{row.namespace}/{row.name}"


def list_live(connection: Connection, installation: str) -> list[IndexRow]:
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(indexes.c.installation_id == installation, indexes.c.retained_at.is_(None))
        .order_by(indexes.c.namespace, indexes.c.name)
    )
    return [_record(row) for row in rows]


def list_retained(connection: Connection, installation: str) -> list[IndexRow]:
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(indexes.c.installation_id == installation, indexes.c.retained_at.isnot(None))
        .order_by(indexes.c.namespace, indexes.c.name, indexes.c.retained_at)
    )
    return [_record(row) for row in rows]


def retained_uids(connection: Connection, installation: str, namespace: str, name: str) -> frozenset[str]:
    """Of those that were retained under this name: what an object called so may take over."""
    rows = connection.execute(
        sa.select(indexes.c.uid).where(
            indexes.c.installation_id == installation,
            indexes.c.namespace == namespace,
            indexes.c.name == name,
            indexes.c.retained_at.isnot(None),
        )
    )
    return frozenset(rows.scalars())


def write_status(connection: Connection, index_id: int, status: Mapping[str, Any]) -> None:
    connection.execute(
        sa.update(indexes)
        .where(indexes.c.id == index_id)
        .values(status=status, change=schema.change_numbers.next_value())
    )


def serve(connection: Connection, index_id: int, revision_id: int | None) -> None:
    """From the next statement on, queries read this revision: the one row that promotion writes."""
    connection.execute(
        sa.update(indexes)
        .where(indexes.c.id == index_id)
        .values(serving_revision_id=revision_id, change=schema.change_numbers.next_value())
    )


def hold_key(connection: Connection, index_id: int, key: str | None) -> None:
    """After a rollback the spec's key is not built again until it changes or is promoted by hand."""
    connection.execute(sa.update(indexes).where(indexes.c.id == index_id).values(held_revision_key=key))


def retain(connection: Connection, index_id: int) -> None:
    """The object is gone, its data stays until it is purged or adopted."""
    connection.execute(
        sa.update(indexes)
        .where(indexes.c.id == index_id, indexes.c.retained_at.is_(None))
        .values(retained_at=sa.func.now(), change=schema.change_numbers.next_value())
    )


def retain_namesakes(connection: Connection, installation: str, namespace: str, name: str, uid: str) -> None:
    """Former objects of this name, which went while nobody could take note of it."""
    connection.execute(
        sa.update(indexes)
        .where(
            indexes.c.installation_id == installation,
            indexes.c.namespace == namespace,
            indexes.c.name == name,
            indexes.c.uid != uid,
            indexes.c.retained_at.is_(None),
        )
        .values(retained_at=sa.func.now(), change=schema.change_numbers.next_value())
    )


def adopt(connection: Connection, retained: IndexRow, uid: str) -> None:
    """The retained index becomes the one of a new object of the same namespace and name."""
    connection.execute(
        sa.update(indexes)
        .where(indexes.c.id == retained.id, indexes.c.retained_at.isnot(None))
        .values(uid=uid, retained_at=None, change=schema.change_numbers.next_value())
    )


def remove(connection: Connection, index_id: int) -> None:
    """The row and all of the catalogue that hangs on it; the data tables are dropped after, as workers lock them.

    First what others lock first, in their order: a run, then its documents.
    """
    for table in (schema.sync_runs, schema.documents):
        locked = sa.select(table.c.id).where(table.c.index_id == index_id).order_by(table.c.id).with_for_update()
        connection.execute(sa.select(sa.func.count()).select_from(locked.subquery()))
    documents = sa.select(schema.documents.c.id).where(schema.documents.c.index_id == index_id)
    connection.execute(sa.delete(schema.revision_documents).where(schema.revision_documents.c.index_id == index_id))
    connection.execute(sa.delete(schema.contents).where(schema.contents.c.document_id.in_(documents)))
    connection.execute(sa.delete(indexes).where(indexes.c.id == index_id))
