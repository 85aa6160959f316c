"""A document on its way in: read as it comes, hashed, and kept in parts, with no transaction open while a client is
slow."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from ragindex_api.catalogue import ServingIndex
from ragindex_api.metrics import Metrics
from ragindex_api.problems import Kind, ProblemError
from ragindex_api.signals import queue_topic
from ragindex_core.errors import Conflict
from ragindex_db import signals, uploads
from ragindex_db.engine import AsyncDatabase
from ragindex_db.uploads import PART_BYTES, Upload


@dataclass(slots=True)
class Incoming:
    """What is known of a document while it comes; ``metadata`` may follow after the bytes."""

    key: str
    media_type: str | None
    data: AsyncIterator[bytes]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    document_id: int
    sha256: str
    replayed: bool = False


class Uploader:
    def __init__(self, database: AsyncDatabase, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics

    async def receive(self, index: ServingIndex, incoming: Incoming, idempotency_key: str | None) -> Received:
        """The document once all its bytes are here. The same idempotency key gives the same document again; with
        other bytes or another name it is a Conflict."""
        source = next((source.name for source in index.spec.sources if source.uploads is not None), None)
        if source is None:
            raise Conflict(f"the index {index.row.full_name} has no source of the kind uploads")
        limit = index.spec.ingestion.max_object_bytes
        if idempotency_key is not None and (before := await self._before(index, idempotency_key)):
            return await _replay(before, incoming, limit)
        upload_id = await self._database.run(
            uploads.begin,
            index_id=index.row.id,
            namespace=index.row.namespace,
            source=source,
            key=incoming.key,
            media_type=incoming.media_type,
            metadata={},
            idempotency_key=idempotency_key,
        )
        completed = False
        try:
            size, sha256 = await self._store(upload_id, incoming, limit)
            document_id = await self._complete(index, upload_id, incoming, size, sha256)
            completed = True
        except Conflict:
            # The same key came twice at once, and the other one was first.
            before = None if idempotency_key is None else await self._before(index, idempotency_key)
            if before is None or (before.key, before.sha256) != (incoming.key, sha256):
                raise
            return Received(_document(before), sha256, replayed=True)
        finally:
            if not completed:
                # Also when the client left and this task is being cancelled.
                await asyncio.shield(self._database.run(uploads.abandon, upload_id))
        self._metrics.uploaded_bytes.inc(size)
        return Received(document_id, sha256)

    async def _before(self, index: ServingIndex, idempotency_key: str) -> Upload | None:
        return await self._database.run(uploads.find_completed, index.row.id, idempotency_key)

    async def _store(self, upload_id: int, incoming: Incoming, limit: int) -> tuple[int, str]:
        digest = hashlib.sha256()
        size = number = 0
        held = bytearray()
        async for data in incoming.data:
            size += len(data)
            _check_size(size, limit)
            digest.update(data)
            held += data
            while len(held) >= PART_BYTES:
                await self._database.run(uploads.add_part, upload_id, number, bytes(held[:PART_BYTES]))
                del held[:PART_BYTES]
                number += 1
        if held:
            await self._database.run(uploads.add_part, upload_id, number, bytes(held))
        if not size:
            raise ProblemError(Kind.INVALID, "the document has no bytes")
        return size, digest.hexdigest()

    async def _complete(self, index: ServingIndex, upload_id: int, incoming: Incoming, size: int, sha256: str) -> int:
        uri = f"upload://{index.row.full_name}/{incoming.key}"
        async with self._database.begin() as connection:
            await connection.run_sync(uploads.describe, upload_id, incoming.metadata)
            document_id = await connection.run_sync(uploads.complete, upload_id, size=size, sha256=sha256, uri=uri)
            await connection.run_sync(signals.send, queue_topic(index.row.id))
        return document_id


async def _replay(before: Upload, incoming: Incoming, limit: int) -> Received:
    digest = hashlib.sha256()
    size = 0
    async for data in incoming.data:
        size += len(data)
        _check_size(size, limit)
        digest.update(data)
    if (before.key, before.sha256) != (incoming.key, digest.hexdigest()):
        raise Conflict("this Idempotency-Key was used for another document")
    return Received(_document(before), digest.hexdigest(), replayed=True)


def _document(upload: Upload) -> int:
    assert upload.document_id is not None, "an upload is completed and given its document in one transaction"
    return upload.document_id


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise too_large(limit)


def too_large(limit: int) -> ProblemError:
    return ProblemError(Kind.TOO_LARGE, f"a document of this index may have at most {limit} bytes (maxObjectBytes)")
