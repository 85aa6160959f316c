"""Embeddings already paid for, by the hash of the exact input and model; least recently used out first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import BYTEA, insert

from ragindex_db.given import given
from ragindex_db.schema import documents, embedding_cache, embedding_uses

#: An entry's use is noted at most this often, so that a lookup is seldom a write.
_USE_NOTED_EVERY = timedelta(hours=12)
#: Of an entry beside its vector: key, index, time and what PostgreSQL adds to a row.
_ROW_BYTES = 100
_LARGEST_ROW = _ROW_BYTES + 4 * 4000


def key(text: str, *, provider: str, model: str, dimensions: int, element_type: str, input_type: str) -> bytes:
    head = f"{provider}\0{model}\0{dimensions}\0{element_type}\0{input_type}\0"
    return hashlib.sha256(head.encode() + text.encode()).digest()


def lookup(connection: Connection, index_id: int, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
    mine = embedding_cache.c.index_id == index_id
    rows = connection.execute(
        sa.select(
            embedding_cache.c.key,
            embedding_cache.c.vector,
            embedding_cache.c.last_used_at < sa.func.now() - _USE_NOTED_EVERY,
        ).where(mine, embedding_cache.c.key.in_(set(keys)))
    ).all()
    stale = [row[0] for row in rows if row[2]]
    if stale:
        # Whoever deletes some of them at this moment is not waited for.
        free = sa.select(embedding_cache.c.key).where(mine, embedding_cache.c.key.in_(stale))
        connection.execute(
            sa.update(embedding_cache)
            .where(mine, embedding_cache.c.key.in_(free.with_for_update(skip_locked=True, key_share=True)))
            .values(last_used_at=sa.func.now())
        )
    return {row[0]: np.frombuffer(row[1], dtype="<f4") for row in rows}


def store(
    connection: Connection,
    index_id: int,
    vectors: Mapping[bytes, NDArray[np.float32]],
    uses: Mapping[int, Collection[bytes]],
) -> None:
    """Keep what was embedded for these documents; not for one that was deleted meanwhile.

    Sorted, so that two writers of the same keys wait for each other in one order.
    """
    live = _lock_live(connection, index_id, uses)
    wanted = {k for document_id in live for k in uses[document_id] if k in vectors}
    if not wanted:
        return
    rows = [(k, np.ascontiguousarray(vectors[k], dtype="<f4").tobytes()) for k in sorted(wanted)]
    new = given(rows, key=BYTEA(), vector=BYTEA())
    connection.execute(
        insert(embedding_cache)
        .from_select(["index_id", "key", "vector"], sa.select(sa.literal(index_id), new.c.key, new.c.vector))
        .on_conflict_do_nothing()
    )
    _note(connection, index_id, {document_id: wanted.intersection(uses[document_id]) for document_id in live})


def note_uses(connection: Connection, index_id: int, uses: Mapping[int, Collection[bytes]]) -> None:
    """These documents' texts stand behind these entries too."""
    live = _lock_live(connection, index_id, uses)
    _note(connection, index_id, {document_id: uses[document_id] for document_id in live})


def _lock_live(connection: Connection, index_id: int, document_ids: Collection[int]) -> list[int]:
    """Those that are not deleted, and will not be before this transaction ends."""
    rows = connection.execute(
        sa.select(documents.c.id)
        .where(
            documents.c.index_id == index_id, documents.c.id.in_(list(document_ids)), documents.c.deleted_at.is_(None)
        )
        .order_by(documents.c.id)
        .with_for_update(key_share=True, read=True)
    )
    return list(rows.scalars())


def _note(connection: Connection, index_id: int, uses: Mapping[int, Collection[bytes]]) -> None:
    pairs = [(document_id, k) for document_id, keys in uses.items() for k in keys]
    if not pairs:
        return
    new = given(pairs, document_id=sa.BigInteger(), key=BYTEA())
    noted = sa.exists().where(
        embedding_uses.c.index_id == index_id,
        embedding_uses.c.key == new.c.key,
        embedding_uses.c.document_id == new.c.document_id,
    )
    # An entry that is gone meanwhile has no uses; one that is there stays until this transaction ends.
    there = (
        sa.select(embedding_cache.c.index_id, embedding_cache.c.key, new.c.document_id)
        .join(new, new.c.key == embedding_cache.c.key)
        .where(embedding_cache.c.index_id == index_id, sa.not_(noted))
        .order_by(embedding_cache.c.key, new.c.document_id)
        .with_for_update(of=embedding_cache, key_share=True, read=True)
    )
    connection.execute(
        insert(embedding_uses).from_select(["index_id", "key", "document_id"], there).on_conflict_do_nothing()
    )


def forget(connection: Connection, index_id: int, document_ids: Sequence[int]) -> None:
    """Remove what no other document's text stands behind. The documents' rows are locked by the caller.

    Two deletes of two documents with the same text meet at the entry's row: the later one sees what the former did.
    """
    used = sa.select(embedding_uses.c.key).where(
        embedding_uses.c.index_id == index_id, embedding_uses.c.document_id.in_(document_ids)
    )
    entries = sa.and_(embedding_cache.c.index_id == index_id, embedding_cache.c.key.in_(used))
    locked = sa.select(embedding_cache.c.key).where(entries).order_by(embedding_cache.c.key).with_for_update()
    connection.execute(sa.select(sa.func.count()).select_from(locked.subquery()))
    others = sa.exists().where(
        embedding_uses.c.index_id == embedding_cache.c.index_id,
        embedding_uses.c.key == embedding_cache.c.key,
        embedding_uses.c.document_id.not_in(document_ids),
    )
    connection.execute(sa.delete(embedding_cache).where(entries, sa.not_(others)))
    connection.execute(
        sa.delete(embedding_uses).where(
            embedding_uses.c.index_id == index_id, embedding_uses.c.document_id.in_(document_ids)
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
