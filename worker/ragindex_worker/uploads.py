"""The source of documents that were sent to the API: their bytes lie in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected
from ragindex_core.ports import Fetched, SourceObject
from ragindex_db import uploads
from ragindex_db.engine import Database


class UploadsSource:
    """Uploads enter the catalogue when they complete, so there is nothing to list; their metadata came with them."""

    def __init__(self, database: Database, index_id: int, source: str) -> None:
        self._database = database
        self._index_id = index_id
        self._source = source

    def list(self) -> Iterator[SourceObject]:
        return iter(())

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        upload = self._database.run(uploads.current, self._index_id, self._source, key)
        if upload is None:
            raise DocumentRejected(DocumentReason.UNREADABLE, "its bytes are no longer there")
        if upload.size > max_bytes:
            raise DocumentRejected(
                DocumentReason.TOO_LARGE, f"it has {upload.size:,} bytes; maxObjectBytes allows {max_bytes:,}"
            )
        digest, number = hashlib.sha256(), 0
        while (part := self._database.run(uploads.part, upload.id, number)) is not None:
            digest.update(part)
            into.write(part)
            number += 1
        return Fetched(version=f"upload-{upload.id}", sha256=digest.hexdigest(), size=upload.size)

    def sidecar(self, key: str) -> Mapping[str, object]:
        raise DocumentRejected(DocumentReason.CORRUPT, f"{key} was uploaded and has no file beside it")
