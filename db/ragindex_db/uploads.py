"""Documents sent to the API: their bytes in parts of 1 MiB, visible to a sync once the last one is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ragindex_core.ports import SourceObject
from ragindex_db import documents
from ragindex_db.schema import documents as documents_table
from ragindex_db.schema import upload_parts, uploads

PART_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    id: int
    index_id: int
    namespace: str
    source: str
    key: str
    media_type: str | None
    size: int
    sha256: str | None
    metadata: Mapping[str, Any]
    idempotency_key: str | None
    document_id: int | None
    created_at: datetime
    completed_at: datetime | None


_COLUMNS = [uploads.c[name] for name in Upload.__slots__]


def begin(
    connection: Connection,
    *,
    index_id: int,
    namespace: str,
    source: str,
    key: str,
    media_type: str | None,
    metadata: Mapping[str, Any],
    idempotency_key: str | None,
) -> int:
    statement = (
        sa.insert(uploads)
        .values(
            index_id=index_id,
            namespace=namespace,
            source=source,
            key=key,
            media_type=media_type,
            metadata=dict(metadata),
            idempotency_key=idempotency_key,
        )
        .returning(uploads.c.id)
    )
    return int(connection.execute(statement).scalar_one())


def add_part(connection: Connection, upload_id: int, number: int, data: bytes) -> None:
    connection.execute(sa.insert(upload_parts).values(upload_id=upload_id, number=number, data=data))


def describe(connection: Connection, upload_id: int, metadata: Mapping[str, Any]) -> None:
    """What is said of the document; it may come after its bytes."""
    connection.execute(sa.update(uploads).where(uploads.c.id == upload_id).values(metadata=dict(metadata)))


def complete(connection: Connection, upload_id: int, *, size: int, sha256: str, uri: str) -> int:
    """The upload is a document now, new or in place of one with the same key, and queued; the document's id."""
    row = connection.execute(
        sa.update(uploads)
        .where(uploads.c.id == upload_id)
        .values(size=size, sha256=sha256, completed_at=sa.func.now())
        .returning(*_COLUMNS)
    ).one()
    upload = Upload(**row._mapping)
    listed = documents.Listed(
        object=SourceObject(
            key=upload.key,
            uri=uri,
            version=f"upload-{upload.id}",
            size=size,
            modified=upload.completed_at,
            metadata=upload.metadata,
        ),
        upload_id=upload.id,
    )
    added = documents.add(connection, upload.index_id, upload.namespace, upload.source, [listed])
    if added:
        document_id = added[0]
    else:
        document_id = connection.execute(
            sa.select(documents_table.c.id)
            .where(
                documents_table.c.index_id == upload.index_id,
                documents_table.c.source == upload.source,
                documents_table.c.key == upload.key,
                documents_table.c.deleted_at.is_(None),
            )
            .with_for_update()
        ).scalar_one()
        documents.change(connection, upload.index_id, {document_id: listed})
        documents.drop_uploads(connection, [document_id], but=upload_id)
    connection.execute(sa.update(uploads).where(uploads.c.id == upload_id).values(document_id=document_id))
    return document_id


def find_completed(connection: Connection, index_id: int, idempotency_key: str) -> Upload | None:
    row = connection.execute(
        sa.select(*_COLUMNS).where(
            uploads.c.index_id == index_id,
            uploads.c.idempotency_key == idempotency_key,
            uploads.c.completed_at.isnot(None),
        )
    ).one_or_none()
    return None if row is None else Upload(**row._mapping)


def abandon(connection: Connection, upload_id: int) -> None:
    connection.execute(sa.delete(uploads).where(uploads.c.id == upload_id, uploads.c.completed_at.is_(None)))


def sweep(connection: Connection, older_than: timedelta = timedelta(hours=24)) -> int:
    """Uploads that were never finished, and what was kept of those replaced or deleted, to know their keys again."""
    before = sa.func.now() - older_than
    in_use = sa.exists().where(
        documents_table.c.id == uploads.c.document_id, documents_table.c.upload_id == uploads.c.id
    )
    unfinished = sa.and_(uploads.c.completed_at.is_(None), uploads.c.created_at < before)
    former = sa.and_(uploads.c.completed_at < before, sa.not_(in_use))
    return connection.execute(sa.delete(uploads).where(sa.or_(unfinished, former))).rowcount


def current(connection: Connection, index_id: int, source: str, key: str) -> Upload | None:
    """The upload that the live document with this key consists of."""
    row = connection.execute(
        sa.select(*_COLUMNS)
        .join(documents_table, documents_table.c.upload_id == uploads.c.id)
        .where(
            documents_table.c.index_id == index_id,
            documents_table.c.source == source,
            documents_table.c.key == key,
            documents_table.c.deleted_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else Upload(**row._mapping)


def part(connection: Connection, upload_id: int, number: int) -> bytes | None:
    """One part, counted from 0; None past the last."""
    data = connection.execute(
        sa.select(upload_parts.c.data).where(upload_parts.c.upload_id == upload_id, upload_parts.c.number == number)
    ).scalar_one_or_none()
    return None if data is None else bytes(data)
