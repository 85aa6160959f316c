"""The source of a ConfigMap's entries, as the operator mirrors them in the database.

A key is a key of the ConfigMap. ``<key>.metadata.json`` goes with its entry and is no document; without its entry it is
nothing. The version is the start of the digest of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, Unavailable
from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Fetched, SourceObject
from ragindex_db import config_maps
from ragindex_db.config_maps import Entry
from ragindex_db.engine import Connection, Database
from ragindex_db.indexes import IndexRow
from ragindex_providers.sources.directory import SIDECAR_SUFFIX, decode_sidecar
from ragindex_providers.sources.patterns import Patterns

_VERSION_CHARACTERS = 16


class ConfigMapSource:
    def __init__(self, database: Database, index: IndexRow, source: SourceSpec) -> None:
        assert source.config_map is not None
        self._database = database
        self._index_id = index.id
        self._source = source.name
        self._namespace = index.namespace
        self._name = source.config_map.name
        self._patterns = Patterns(source.include, source.exclude)

    def list(self) -> Iterator[SourceObject]:
        found = self._database.run(self._entries)
        sidecars = {entry.key: entry for entry in found if entry.key.endswith(SIDECAR_SUFFIX)}
        for entry in found:
            if entry.key not in sidecars and self._patterns.take(entry.key):
                beside = sidecars.get(entry.key + SIDECAR_SUFFIX)
                yield SourceObject(
                    key=entry.key,
                    uri=f"configmap://{self._name}/{entry.key}",
                    version=_version(entry.sha256),
                    size=entry.size,
                    sidecar_version=_version(beside.sha256) if beside else None,
                )

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        entry, data = self._database.run(self._entry, key)
        if entry.size > max_bytes:
            raise DocumentRejected(DocumentReason.TOO_LARGE, f"{entry.size} bytes, allowed are {max_bytes}")
        into.write(data)
        return Fetched(version=_version(entry.sha256), sha256=entry.sha256, size=entry.size)

    def sidecar(self, key: str) -> Mapping[str, object]:
        return decode_sidecar(self._database.run(self._entry, key + SIDECAR_SUFFIX)[1])

    def _entries(self, connection: Connection) -> tuple[Entry, ...]:
        self._check(connection)
        return tuple(config_maps.entries(connection, self._index_id, self._source))

    def _entry(self, connection: Connection, key: str) -> tuple[Entry, bytes]:
        self._check(connection)
        found = config_maps.entry(connection, self._index_id, self._source, key)
        if found is None:
            raise DocumentRejected(DocumentReason.UNREADABLE, "its ConfigMap has no such key any more")
        return found

    def _check(self, connection: Connection) -> None:
        """A ConfigMap that is gone, or not read yet, is trouble of the source: none of its documents is gone by it."""
        found = config_maps.mirrored(connection, self._index_id, self._source)
        if found is not None and found.version is None:
            raise self._unavailable(found.message or "it does not exist")
        if found is None or found.name != self._name:
            raise self._unavailable("the operator has not read it yet")

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"ConfigMap {self._name} in namespace {self._namespace}: {why}")


def _version(sha256: str) -> str:
    return sha256[:_VERSION_CHARACTERS]
