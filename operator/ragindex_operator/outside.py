"""What a reconcile reaches beside the database: who works for an object, and what is copied for workers to list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ragindex_core.object.resource import RagIndex
from ragindex_core.object.sources import SourceSpec
from ragindex_core.reconcile.observed import Crew, Timetable, Workers


class Workforce(Protocol):
    """Jobs and CronJobs in a cluster, a process beside this one on a laptop."""

    def look(self, wanted: RagIndex) -> Crew: ...

    def ensure(self, wanted: RagIndex, workers: Workers) -> None: ...

    def list_sources(self, wanted: RagIndex, run: str) -> None: ...

    def keep(self, wanted: RagIndex, timetable: Timetable) -> None: ...

    def drop_timetable(self, wanted: RagIndex) -> None: ...

    def stop(self, wanted: RagIndex) -> None: ...


@dataclass(frozen=True, slots=True)
class Original:
    """A ConfigMap as it is now. Equal versions have equal names and entries."""

    version: str
    entries: Mapping[str, bytes]


class Originals(Protocol):
    """Reads what workers cannot."""

    def read(self, wanted: RagIndex, name: str) -> Original | None:
        """The ConfigMap of this name in the object's namespace; None when there is none."""


def mirrored_sources(wanted: RagIndex) -> list[SourceSpec]:
    """Those whose entries are copied into the catalogue."""
    return [source for source in wanted.spec.sources if source.config_map is not None]
