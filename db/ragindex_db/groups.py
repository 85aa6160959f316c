"""Which groups may see a document: the spec's word about its source, carried to its chunks."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_db import revisions, schema
from ragindex_db.schema import documents


def regroup(connection: Connection, index_id: int, source: str, groups: Sequence[str] | None, limit: int) -> int:
    """Up to ``limit`` documents of this source, with their chunks in every kept revision, are for these groups now,
    if they were for others; the number of them. What is embedded stays."""
    given = sa.cast(None if groups is None else list(groups), ARRAY(sa.Text))
    ids = list(
        connection.execute(
            sa.select(documents.c.id)
            .where(
                documents.c.index_id == index_id,
                documents.c.source == source,
                documents.c.deleted_at.is_(None),
                documents.c.access_groups.is_distinct_from(given),
            )
            .order_by(documents.c.id)
            .limit(limit)
            .with_for_update(key_share=True)
        ).scalars()
    )
    if ids:
        connection.execute(
            sa.update(documents)
            .where(documents.c.id.in_(ids))
            .values(access_groups=given, change=schema.change_numbers.next_value())
        )
        for revision in revisions.with_tables(connection, index_id):
            chunk = revision.tables.chunk
            connection.execute(sa.update(chunk).where(chunk.c.document_id.in_(ids)).values(access_groups=given))
    return len(ids)


def of_documents(connection: Connection, document_ids: Sequence[int]) -> dict[int, tuple[str, ...] | None]:
    rows = connection.execute(
        sa.select(documents.c.id, documents.c.access_groups).where(documents.c.id.in_(document_ids))
    )
    return {row[0]: None if row[1] is None else tuple(row[1]) for row in rows}
