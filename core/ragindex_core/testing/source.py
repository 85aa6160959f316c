"""A source in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, Unavailable
from ragindex_core.ports import Fetched, SourceObject


@dataclass(frozen=True, slots=True)
class _Stored:
    content: bytes
    version: str


class FakeSource:
    """``put`` and ``remove`` change what it holds. ``fail_after`` makes a listing break off after so many objects;
    ``unreadable`` keys are listed and not handed over; ``changing`` keys change while they are read."""

    def __init__(self, files: Mapping[str, bytes] | None = None, *, modified: datetime | None = None) -> None:
        self._objects: dict[str, _Stored] = {}
        self._sidecars: dict[str, _Stored] = {}
        self._modified = modified
        self._clock = 0
        self.fail_after: int | None = None
        self.unreadable: set[str] = set()
        self.changing: set[str] = set()
        self.fetched: list[str] = []
        for key, content in (files or {}).items():
            self.put(key, content)

    def put(self, key: str, content: bytes) -> None:
        self._objects[key] = self._stored(content)

    def put_sidecar(self, key: str, content: bytes) -> None:
        self._sidecars[key] = self._stored(content)

    def remove(self, key: str) -> None:
        del self._objects[key]
        self._sidecars.pop(key, None)

    def remove_sidecar(self, key: str) -> None:
        del self._sidecars[key]

    def list(self) -> Iterator[SourceObject]:
        for position, key in enumerate(sorted(self._objects)):
            if position == self.fail_after:
                break
            stored, sidecar = self._objects[key], self._sidecars.get(key)
            yield SourceObject(
                key=key,
                uri=f"memory://{key}",
                version=stored.version,
                size=len(stored.content),
                modified=self._modified,
                sidecar_version=sidecar.version if sidecar else None,
            )
        if self.fail_after is not None:
            raise Unavailable("the source broke off its listing")

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        self.fetched.append(key)
        stored = self._objects.get(key)
        if stored is None or key in self.unreadable:
            raise DocumentRejected(DocumentReason.UNREADABLE, "the source does not hand it over")
        if len(stored.content) > max_bytes:
            raise DocumentRejected(DocumentReason.TOO_LARGE, f"{len(stored.content)} bytes, allowed are {max_bytes}")
        into.write(stored.content)
        if key in self.changing:
            raise DocumentRejected(DocumentReason.CHANGED, "it changed while it was read")
        return Fetched(stored.version, hashlib.sha256(stored.content).hexdigest(), len(stored.content))

    def sidecar(self, key: str) -> Mapping[str, object]:
        stored = self._sidecars.get(key)
        if stored is None:
            raise DocumentRejected(DocumentReason.UNREADABLE, "it has no metadata file")
        try:
            decoded = json.loads(stored.content)
        except (ValueError, RecursionError) as error:
            raise DocumentRejected(DocumentReason.CORRUPT, "its metadata file is not JSON") from error
        if not isinstance(decoded, dict):
            raise DocumentRejected(DocumentReason.CORRUPT, "its metadata file is not a JSON object")
        return decoded

    def _stored(self, content: bytes) -> _Stored:
        self._clock += 1
        return _Stored(content, f"v{self._clock}")
