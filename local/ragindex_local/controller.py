"""The reconciler of a laptop: follows the files, the folders they name and the catalogue, and reconciles what moved."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragindex_core.errors import FieldProblem, RagIndexError, Unavailable
from ragindex_core.object.resource import RagIndex, parse
from ragindex_db import indexes, requests
from ragindex_db.engine import Database
from ragindex_local.objects import Read, Unreadable, read_all, uid_of
from ragindex_local.watching import FolderWatch
from ragindex_operator.fence import Fenced
from ragindex_operator.reconcile import Outcome, Reconciler

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.3  # signals come by the hundred while documents are indexed
_LOOK_EVERY = 20.0
_AFTER_TROUBLE = 1.0
_APPLIED_FROM = "ragindex.io/applied-from"


@dataclass(slots=True)
class _Entry:
    index: RagIndex
    base: Path | None
    file: Path | None

    @property
    def folders(self) -> list[Path]:
        """Those of its directory sources."""
        if self.base is None:
            return []
        sources = (source.directory for source in self.index.spec.sources)
        return [(self.base / directory.path).resolve() for directory in sources if directory is not None]


class Controller(threading.Thread):
    """``report`` is told of every look at an object, ``complain`` of every file that breaks a rule, ``superseded`` once
    another RagIndex has taken over the database: this one has ended then."""

    def __init__(
        self,
        database: Database,
        reconciler: Reconciler,
        given: Sequence[Path],
        *,
        report: Callable[[RagIndex, Outcome], None],
        complain: Callable[[Unreadable], None],
        superseded: Callable[[], None],
    ) -> None:
        super().__init__(name="controller", daemon=True)
        self._database = database
        self._reconciler = reconciler
        self._given = [path.absolute() for path in given]
        self._report = report
        self._complain = complain
        self._superseded = superseded
        self._taken_up = False
        self._entries: dict[str, _Entry] = {}
        self._complained: set[Unreadable] = set()
        self._faults: dict[str, tuple[FieldProblem, ...]] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._files_moved = threading.Event()
        self._moved: set[str] = set()  # objects in whose folders something changed
        self._look_again: dict[str, float] = {}
        self._object_watch = FolderWatch(self._objects_moved, recursive=False)
        self._source_watch = FolderWatch(self._sources_moved, recursive=True)

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self.join(timeout=15)

    def wake(self) -> None:
        self._wake.set()

    def run(self) -> None:
        self._files_moved.set()
        for watcher in (self._object_watch, self._source_watch):
            watcher.start()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._wake.wait(self._look())
                self._stopping.wait(_SETTLE_SECONDS)
        except Fenced as error:
            log.warning("another RagIndex has taken over this database", extra={"why": str(error)})
            self._superseded()
        finally:
            for watcher in (self._object_watch, self._source_watch):
                watcher.stop()

    def _look(self) -> float:
        """One look at everything; gives the seconds until the next, unless something moves before."""
        try:
            self._reconciler.fence.check(self._database)
            if not self._taken_up:
                self._take_up_catalogue()
                self._taken_up = True
            if self._files_moved.is_set():
                self._files_moved.clear()
                try:
                    self._read_files()
                except BaseException:
                    self._files_moved.set()
                    raise
                self._object_watch.follow(path if path.is_dir() else path.parent for path in self._given)
            self._source_watch.follow(self._source_folders())
            self._ask_for_runs()
            self._reconcile_all()
        except Fenced:
            raise
        except RagIndexError as error:
            log.warning("will look again", extra={"why": str(error)})
            return _AFTER_TROUBLE
        except Exception:
            log.exception("cannot look at the objects")
            return _LOOK_EVERY
        return self._pause()

    def _take_up_catalogue(self) -> None:
        """What is in the catalogue and in no file given goes on as it was last applied."""
        for row in self._database.run(indexes.list_live, self._reconciler.fence.installation):
            document = {"metadata": dict(row.object_metadata), "spec": dict(row.spec)}
            file = row.object_metadata.get("annotations", {}).get(_APPLIED_FROM)
            self._entries[row.uid] = _Entry(
                parse(document, row.full_name),
                Path(row.base_path) if row.base_path else None,
                Path(file) if file else None,
            )
            if self._entries[row.uid].folders:  # nobody watched them while nothing ran
                self._ask_for_run(row.id, "started")

    def _read_files(self) -> None:
        found, faults = read_all(self._given)
        for fault in faults:
            if fault not in self._complained:
                self._complain(fault)
        self._complained = set(faults)
        self._faults = {uid_of(fault.path): fault.problems for fault in faults if fault.path is not None}
        broken = {fault.file.absolute() for fault in faults}
        for item in found:
            self._apply(item)
        present = {item.index.metadata.uid for item in found}
        for uid, entry in self._entries.items():
            if uid not in present and self._was_removed(entry, broken):
                gone = entry.index.metadata.model_copy(update={"deletion_timestamp": datetime.now(UTC)})
                entry.index = entry.index.model_copy(update={"metadata": gone})

    def _was_removed(self, entry: _Entry, broken: set[Path]) -> bool:
        """Only what came from a file or folder we follow can be missed there, and not while that file is broken."""
        file = entry.file
        if file is None or file in broken or entry.index.deleting:
            return False
        return any(file == path or file.parent == path for path in self._given)

    def _apply(self, item: Read) -> None:
        uid = item.index.metadata.uid
        row = self._database.run(indexes.by_uid, uid)
        spec = item.index.to_wire()["spec"]
        generation = 1 if row is None else row.generation if row.spec == spec else row.generation + 1
        annotations = {**item.index.metadata.annotations, _APPLIED_FROM: str(item.file)}
        created = (row.created_at if row else datetime.now(UTC)).replace(microsecond=0)
        metadata = item.index.metadata.model_copy(
            update={"generation": generation, "annotations": annotations, "creation_timestamp": created}
        )
        self._entries[uid] = _Entry(item.index.model_copy(update={"metadata": metadata}), item.base, item.file)

    def _reconcile_all(self) -> None:
        for uid, entry in list(self._entries.items()):
            base = str(entry.base) if entry.base else None

            def release(uid: str = uid) -> None:
                self._entries.pop(uid, None)

            try:
                outcome = self._reconciler.reconcile(entry.index, base, release, self._faults.get(uid, ()))
            except Unavailable as error:
                log.warning("will look again", extra={"index": entry.index.path, "why": str(error)})
                self._look_again[uid] = time.monotonic() + 1.0
            except Fenced:
                raise
            except RagIndexError as error:
                log.warning("cannot reconcile", extra={"index": entry.index.path, "why": str(error)})
                self._look_again[uid] = time.monotonic() + 5.0
            except Exception:
                log.exception("cannot reconcile", extra={"index": entry.index.path})
                self._look_again[uid] = time.monotonic() + 5.0
            else:
                self._report(entry.index, outcome)
                self._look_again[uid] = _monotonic(outcome.look_again)

    def _pause(self) -> float:
        if self._moved:
            return _AFTER_TROUBLE
        soonest = min(self._look_again.values(), default=time.monotonic() + _LOOK_EVERY)
        return min(max(soonest - time.monotonic(), 0.05), _LOOK_EVERY)

    def _source_folders(self) -> dict[Path, set[str]]:
        """The folders of directory sources, and the objects that read each."""
        folders: dict[Path, set[str]] = {}
        for uid, entry in list(self._entries.items()):
            for folder in entry.folders:
                folders.setdefault(folder, set()).add(uid)
        return folders

    def _objects_moved(self, _moved: set[Path]) -> None:
        self._files_moved.set()
        self.wake()

    def _sources_moved(self, moved: set[Path]) -> None:
        folders = self._source_folders()
        readers = (uids for path in moved for folder, uids in folders.items() if path.is_relative_to(folder))
        self._moved.update(*readers)
        self.wake()

    def _ask_for_runs(self) -> None:
        """Where something changed; what cannot be written down now is asked for at the next look."""
        for uid in list(self._moved):
            self._moved.discard(uid)
            try:
                row = self._database.run(indexes.by_uid, uid)
                if row is not None:
                    self._ask_for_run(row.id, "folder-changed")
            except Fenced:
                raise
            except RagIndexError as error:
                log.warning("a changed folder has to wait", extra={"why": str(error)})
                self._moved.add(uid)

    def _ask_for_run(self, index_id: int, why: str) -> None:
        """As a person would, but only while this is the process that looks after the object."""
        with self._reconciler.fence.begin(self._database) as connection:
            requests.add(connection, index_id, "sync", f"{why}-{time.time_ns()}", "watch")


def _monotonic(later: timedelta | None) -> float:
    return time.monotonic() + (_LOOK_EVERY if later is None else max(later.total_seconds(), 0.05))
