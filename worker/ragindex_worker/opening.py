"""The source that a spec names: the two that lie in the database are opened here, others by whoever runs the worker."""

from __future__ import annotations

from typing import Protocol

from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Source
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_worker.config_maps import ConfigMapSource
from ragindex_worker.uploads import UploadsSource


class OpenSource(Protocol):
    def __call__(self, index: IndexRow, source: SourceSpec) -> Source: ...


def open_any_source(database: Database, others: OpenSource, index: IndexRow, source: SourceSpec) -> Source:
    if source.uploads is not None:
        return UploadsSource(database, index.id, source.name)
    if source.config_map is not None:
        return ConfigMapSource(database, index, source)
    return others(index, source)
