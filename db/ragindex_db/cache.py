"""Embeddings already paid for, by the hash of the exact input and model; least recently used out first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from ragindex_db.data_tables import RevisionTables
from ragindex_db.schema import embedding_cache

#: An entry's use is noted at most this often, so that a lookup is seldom a write.
_USE_NOTED_EVERY = timedelta(hours=12)
#: Of an entry beside its vector: key, index, time and what PostgreSQL adds to a row.
_ROW_BYTES = 100
_LARGEST_ROW = _ROW_BYTES + 4 * 4000


def key(text: str, *, provider: str, model: str, dimensions: int, input_type: str) -> bytes:
    head = f"{provider}\0{model}\0{dimensions}\0{input_type}\0"
    return hashlib.sha256(head.encode() + text.encode()).digest()


def lookup(connection: Connection, index_id: int, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
    rows = connection.execute(
        sa.select(
            embedding_cache.c.key,
            embedding_cache.c.vector,
            embedding_cache.c.last_used_at < sa.func.now() - _USE_NOTED_EVERY,
        ).where(embedding_cache.c.index_id == index_id, embedding_cache.c.key.in_(set(keys)))
    ).all()
    stale = [row[0] for row in rows if row[2]]
    if stale:
        connection.execute(
            sa.update(embedding_cache)
            .where(embedding_cache.c.index_id == index_id, embedding_cache.c.key.in_(stale))
            .values(last_used_at=sa.func.now())
        )
    return {row[0]: np.frombuffer(row[1], dtype="<f4") for row in rows}


def store(connection: Connection, index_id: int, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
    """Sorted, so that two writers of the same keys wait for each other in one order."""
    if not vectors:
        return
    rows = [
        {"index_id": index_id, "key": k, "vector": np.ascontiguousarray(vectors[k], dtype="<f4").tobytes()}
        for k in sorted(vectors)
    ]
    connection.execute(insert(embedding_cache).on_conflict_do_nothing(), rows)


def forget(connection: Connection, index_id: int, keys: Collection[bytes], kept: Sequence[RevisionTables]) -> None:
    """Remove entries that no chunk of a kept revision came from."""
    if not keys:
        return
    referred: list[sa.ColumnElement[bool]] = [
        sa.exists().where(tables.vector.c.embedding_key == embedding_cache.c.key) for tables in kept
    ]
    connection.execute(
        sa.delete(embedding_cache).where(
            embedding_cache.c.index_id == index_id,
            embedding_cache.c.key.in_(keys),
            sa.not_(sa.or_(sa.false(), *referred)),
        )
    )


def trim(connection: Connection, most_bytes: int) -> int:
    """Bring the cache below its size, least recently used out first; the number of entries removed.

    Counts what the entries hold, not what the table takes: that shrinks only when it is vacuumed.
    """
    size = sa.func.octet_length(embedding_cache.c.vector) + _ROW_BYTES
    held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(size), 0))).scalar_one()
    excess, removed = int(held) - most_bytes, 0
    while excess > 0:
        oldest = (
            sa.select(embedding_cache.c.index_id, embedding_cache.c.key)
            .order_by(embedding_cache.c.last_used_at, embedding_cache.c.key)
            .limit(min(excess // _LARGEST_ROW + 1, 10_000))
            .with_for_update(skip_locked=True)
            .cte("oldest")
        )
        gone = connection.execute(
            sa.delete(embedding_cache)
            .where(embedding_cache.c.index_id == oldest.c.index_id, embedding_cache.c.key == oldest.c.key)
            .returning(size)
        ).scalars()
        sizes = list(gone)
        if not sizes:
            break
        excess -= sum(sizes)
        removed += len(sizes)
    return removed
