"""One sync run: list every source, compare with the catalogue, queue what changed, remove what is gone.

Nothing is removed on the word of a listing that broke off or shrank too far; a source that fails stops no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, cast

from ragindex_core.errors import DocumentRejected, RagIndexError
from ragindex_core.object.ingestion import IngestionSpec, OnSourceDeletion
from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Source, SourceObject
from ragindex_core.sync.diff import Change, ChangeKind, diff
from ragindex_core.sync.shrink import Listing, shrunk
from ragindex_db import documents, runs, signals
from ragindex_db.documents import Known, Listed
from ragindex_db.engine import Database, DatabaseUnavailable
from ragindex_db.groups import regroup
from ragindex_db.indexes import IndexRow
from ragindex_db.runs import SyncRun
from ragindex_worker.opening import OpenSource

log = logging.getLogger(__name__)

_BATCH = 500
#: Seconds: also while nothing is found that changed, the run's lease is renewed.
_LONGEST_SILENCE = 25.0


class SourceState:
    """What became of one source in a run; kept in ``sync_runs.sources``."""

    LISTED = "Listed"
    SHRUNK = "Shrunk"
    FAILED = "Failed"


@dataclass(slots=True)
class SourceCounts:
    """What one source's listing came to."""

    state: str = SourceState.LISTED
    listed: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    known: int = 0  # before this run
    gone: int = 0  # known, and not listed
    message: str = ""


class LeaseLost(RagIndexError):
    """Another worker has taken the run over: this one stops without a word to the catalogue."""


@dataclass(slots=True)
class _Batch:
    added: list[Listed] = field(default_factory=list)
    changed: dict[int, Listed] = field(default_factory=dict)
    touched: dict[int, Listed] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.added) + len(self.changed) + len(self.touched)


class SyncRunner:
    """Carries out the runs it is given, on one thread."""

    def __init__(self, database: Database, open_source: OpenSource, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._open_source = open_source
        self._stopping = stopping

    def perform(self, run: SyncRun, index: IndexRow) -> bool:
        """False when a stop cut it short: the run waits to be begun anew."""
        spec = RagIndexSpec.model_validate(index.spec)
        counts: dict[str, SourceCounts] = {}
        try:
            for source in spec.sources:
                self._regroup(run, index, source, counts)
                if source.uploads is None:
                    counts[source.name] = self._sync_source(run, index, source, spec.ingestion, counts)
                if self._stopping():
                    self._database.run(runs.give_back, run)
                    return False
            self._remove_former_sources(run, index, spec, counts)
            self._finish(run, counts)
        except LeaseLost:
            log.warning("sync run was taken over by another worker", extra={"run": run.id, "index": index.full_name})
        return True

    def _regroup(self, run: SyncRun, index: IndexRow, source: SourceSpec, progress: Mapping[str, SourceCounts]) -> None:
        """Who may see a source's documents is the spec's word, also of those that did not change."""
        groups = source.access.groups if source.access else None
        changed = _BATCH
        while changed == _BATCH:
            with self._leased(run, progress) as connection:
                changed = regroup(connection, index.id, source.name, groups, _BATCH)

    def _finish(self, run: SyncRun, counts: Mapping[str, SourceCounts]) -> None:
        failed = {name: c for name, c in counts.items() if c.state == SourceState.FAILED}
        held = {name: c for name, c in counts.items() if c.state == SourceState.SHRUNK}
        reason = "SourceUnavailable" if failed else "SourceShrunk" if held else None
        message = "; ".join(f"{name}: {c.message}" for name, c in {**failed, **held}.items())
        with self._database.begin() as connection:
            runs.finish(
                connection,
                run,
                succeeded=not failed,
                reason=reason,
                message=message or None,
                sources=_as_json(counts),
            )
            signals.send(connection, f"index:{run.index_id}")
        log.info("sync run ended", extra={"run": run.id, "reason": reason, "sources": _as_json(counts)})

    def _sync_source(
        self,
        run: SyncRun,
        index: IndexRow,
        spec: SourceSpec,
        ingestion: IngestionSpec,
        before: Mapping[str, SourceCounts],
    ) -> SourceCounts:
        counts = SourceCounts()
        progress = {**before, spec.name: counts}
        try:
            source = self._open_source(index, spec)
            gone = self._apply_listing(run, index, spec, source, ingestion, counts, progress)
        except (LeaseLost, DatabaseUnavailable):
            raise  # no word on the source
        except RagIndexError as error:
            counts.state, counts.message = SourceState.FAILED, str(error)
            return counts
        if self._stopping():
            return counts
        self._remove(run, index, spec, ingestion, gone, counts, progress)
        return counts

    def _apply_listing(
        self,
        run: SyncRun,
        index: IndexRow,
        spec: SourceSpec,
        source: Source,
        ingestion: IngestionSpec,
        counts: SourceCounts,
        progress: Mapping[str, SourceCounts],
    ) -> list[int]:
        """Queue what is new or changed, batch by batch; the ids of the documents that were not listed."""
        batch, gone = _Batch(), list[int]()
        written = time.monotonic()
        known = documents.known(self._database, index.id, spec.name)
        for change in diff(_counted(known, counts), source.list()):
            self._sort(change, source, spec, ingestion, batch, gone, counts)
            if len(batch) >= _BATCH or time.monotonic() - written > _LONGEST_SILENCE:
                self._write(run, index, spec, batch, progress)
                batch, written = _Batch(), time.monotonic()
            if self._stopping():
                return []
        self._write(run, index, spec, batch, progress)
        return gone

    def _sort(
        self,
        change: Change,
        source: Source,
        spec: SourceSpec,
        ingestion: IngestionSpec,
        batch: _Batch,
        gone: list[int],
        counts: SourceCounts,
    ) -> None:
        known = cast(Known | None, change.known)
        if change.listed is None:
            assert known is not None
            gone.append(known.document_id)
            counts.gone += 1
            return
        counts.listed += 1
        listed = Listed(change.listed, tuple(spec.access.groups) if spec.access else None)
        if change.kind is ChangeKind.UNCHANGED:
            counts.unchanged += 1
        elif known is None:
            batch.added.append(listed)
            counts.added += 1
        elif change.kind is ChangeKind.SUSPECT and _same_bytes(source, known, change.listed, ingestion):
            batch.touched[known.document_id] = listed
            counts.unchanged += 1
        else:
            batch.changed[known.document_id] = listed
            counts.changed += 1

    def _write(
        self, run: SyncRun, index: IndexRow, spec: SourceSpec, batch: _Batch, progress: Mapping[str, SourceCounts]
    ) -> None:
        with self._leased(run, progress) as connection:
            documents.add(connection, index.id, index.namespace, spec.name, batch.added)
            documents.change(connection, index.id, batch.changed)
            documents.touch(connection, batch.touched)
            if batch.added or batch.changed:
                signals.send(connection, f"queue:{index.id}")

    def _remove(
        self,
        run: SyncRun,
        index: IndexRow,
        spec: SourceSpec,
        ingestion: IngestionSpec,
        gone: list[int],
        counts: SourceCounts,
        progress: Mapping[str, SourceCounts],
    ) -> None:
        if ingestion.on_source_deletion is not OnSourceDeletion.DELETE:
            return
        listing = Listing(source=spec.name, known=counts.known, gone=counts.gone, listed=counts.listed)
        if shrunk(listing, ingestion.max_delete_percent) and spec.name not in run.accepted_sources:
            counts.state = SourceState.SHRUNK
            counts.message = f"{counts.gone} of {counts.known} documents are gone from the source; nothing was deleted"
            return
        for start in range(0, len(gone), _BATCH):
            with self._leased(run, progress) as connection:
                counts.removed += documents.delete(connection, index.id, gone[start : start + _BATCH])

    def _remove_former_sources(
        self, run: SyncRun, index: IndexRow, spec: RagIndexSpec, counts: Mapping[str, SourceCounts]
    ) -> None:
        """Taking a source out of the spec is consent to lose its documents."""
        for name in self._database.run(documents.sources, index.id) - {source.name for source in spec.sources}:
            while ids := self._database.run(documents.ids_of_source, index.id, name, _BATCH):
                with self._leased(run, counts) as connection:
                    documents.delete(connection, index.id, ids)

    @contextmanager
    def _leased(self, run: SyncRun, progress: Mapping[str, SourceCounts]) -> Iterator[Any]:
        """A transaction that only the holder of the run's lease can commit."""
        with self._database.begin() as connection:
            if not runs.renew(connection, run, _as_json(progress)):
                raise LeaseLost
            yield connection


def _counted(known: Iterator[Known], counts: SourceCounts) -> Iterator[Known]:
    for item in known:
        counts.known += 1
        yield item


def _same_bytes(source: Source, known: Known, listed: SourceObject, ingestion: IngestionSpec) -> bool:
    """Whether only the token moved. Another size or sidecar needs no look at the bytes to know."""
    if known.sha256 is None or known.size != listed.size or known.sidecar_version != listed.sidecar_version:
        return False
    try:
        fetched = source.fetch(listed.key, cast(BinaryIO, _Nowhere()), ingestion.max_object_bytes)
    except DocumentRejected:
        return False  # its state and reason are the queue's to find out
    return fetched.sha256 == known.sha256


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


def _as_json(counts: Mapping[str, SourceCounts]) -> dict[str, Any]:
    return {name: asdict(c) for name, c in counts.items()}
