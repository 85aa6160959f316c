"""That a deleted document is gone, looked up anew in every revision that holds data."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from ragindex_db import revisions


def remaining_chunks(connection: Connection, index_id: int, document_id: int) -> int:
    """Chunks of the document in the kept revisions of its index: 0 is the proof of its absence."""
    total = 0
    for revision in revisions.with_tables(connection, index_id):
        chunk = revision.tables.chunk
        total += connection.execute(
            sa.select(sa.func.count()).select_from(chunk).where(chunk.c.document_id == document_id)
        ).scalar_one()
    return total
