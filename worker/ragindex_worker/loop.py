"""The worker itself: threads that take sync runs and documents as they come due, until told to stop or, in a Job,
until nothing is left to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, RagIndexError, Unavailable
from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Source
from ragindex_db import cache, history, indexes, keyword, queue, revisions, runs, search, uploads
from ragindex_db.engine import Database, DatabaseUnavailable
from ragindex_db.indexes import IndexRow
from ragindex_db.queue import Claim
from ragindex_db.revisions import RevisionRow
from ragindex_db.runs import SyncRun
from ragindex_worker.embedding import CachingEmbedder
from ragindex_worker.parsing.sandbox import Sandbox
from ragindex_worker.pipeline import Pipeline, Target
from ragindex_worker.sync import OpenSource, SyncRunner
from ragindex_worker.uploads import UploadsSource

log = logging.getLogger(__name__)

_SEAL_WHOLE, _SEAL_REST = 960, 64  # chunks
_SEAL_VECTORS = 500  # an insert into the graph costs milliseconds: short transactions
_CLAIM = 16  # documents a thread takes at a time: enough to share a transaction, few enough to lose
_LOOK_EVERY = 15.0  # seconds; signals make it sooner
_RENEW_EVERY = 25.0
_TIDY_EVERY = 3600.0
#: What no document is to blame for (a model that cannot be opened) is tried until someone has mended it.
_MENDED_BY_HAND = timedelta(seconds=30)


class EmbedderOf(Protocol):
    def of(self, revision: RevisionRow, spec: RagIndexSpec) -> Embedder: ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    scratch: Path
    threads: int = 2
    index_id: int | None = None  # only this index, as in a Job
    drain: bool = False  # end when nothing is pending or leased
    cache_bytes: int = 2 << 30  # the embedding cache is kept below this


class Worker:
    """``wake`` may be called from anywhere, and is, when a signal says that there is something to do."""

    def __init__(
        self, database: Database, embedders: EmbedderOf, open_source: OpenSource, settings: WorkerSettings
    ) -> None:
        self._database = database
        self._embedders = embedders
        self._open_source = open_source
        self._settings = settings
        self._owner = queue.new_owner()
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._signals = 0
        self._in_hand: dict[str, Claim] = {}
        self._in_hand_lock = threading.Lock()

    def run(self) -> None:
        """Until ``stop``, or until all is drained. Every thread it started has ended when it returns."""
        threads = [threading.Thread(target=self._sync_loop, name="sync")]
        threads += [
            threading.Thread(target=self._document_loop, name=f"documents-{n}") for n in range(self._settings.threads)
        ]
        helpers = [
            threading.Thread(target=self._seal_loop, name="sealing"),
            threading.Thread(target=self._tidy_loop, name="tidying"),
            threading.Thread(target=self._keep_leases, name="leases"),
        ]
        for thread in [*threads, *helpers]:
            thread.start()
        for thread in threads:
            thread.join()
        self.stop()
        for thread in helpers:
            thread.join()

    def stop(self) -> None:
        """Begin no more; what is in hand is finished or given back."""
        self._stopping.set()
        self.wake()

    def wake(self) -> None:
        with self._work:
            self._signals += 1
            self._work.notify_all()

    def _wait(self, seconds: float) -> bool:
        """For the providers' sake: True as soon as the worker should stop."""
        return self._stopping.wait(seconds) if seconds > 0 else self._stopping.is_set()

    def _await_work(self, seen: int, seconds: float) -> None:
        with self._work:
            self._work.wait_for(lambda: self._signals != seen or self._stopping.is_set(), timeout=seconds)

    def _sync_loop(self) -> None:
        runner = SyncRunner(self._database, self.open_source, self._stopping.is_set)
        dropped: list[SyncRun] = []  # what was in hand when the database went away

        def step() -> float | None:
            if dropped:
                self._database.run(runs.give_back, dropped[0])
                dropped.clear()
            run = self._database.run(runs.claim, self._owner, index_id=self._settings.index_id)
            if run is None:
                return None if self._settings.drain else _LOOK_EVERY
            try:
                runner.perform(run, self._database.run(indexes.get, run.index_id))
            except RagIndexError:
                dropped.append(run)
                raise
            self.wake()
            return 0.0

        self._loop(step)

    def _document_loop(self) -> None:
        with Sandbox() as sandbox:
            self._work_off(Pipeline(self._database, sandbox, self._settings.scratch, self._stopping.is_set))

    def _work_off(self, pipeline: Pipeline) -> None:
        dropped: list[Claim] = []  # what was in hand when the database went away
        counts = False

        def step() -> float | None:
            nonlocal counts
            if dropped:
                self._database.run(queue.give_back, dropped, counts=counts)
                dropped.clear()
            claims = self._database.run(queue.claim, self._owner, _CLAIM, index_id=self._settings.index_id)
            if claims:
                try:
                    with self._holding(claims):
                        self._process(pipeline, claims)
                except RagIndexError as error:
                    dropped.extend(claims)
                    # A document that brings the server down again and again is given up in the end.
                    counts = isinstance(error, DatabaseUnavailable) and not error.refused
                    raise
                if self._settings.drain:
                    self.wake()  # who waits for what we held may find that all is done
                return 0.0
            due = self._database.run(queue.next_due_seconds, index_id=self._settings.index_id)
            if due is None:
                return None if self._settings.drain else _LOOK_EVERY
            return min(max(due, 0.05), _LOOK_EVERY)

        self._loop(step)

    def _loop(self, step: Callable[[], float | None]) -> None:
        """Call ``step`` again after the seconds it says, or sooner when woken; None ends it."""
        while not self._stopping.is_set():
            seen = self._signals
            try:
                pause = step()
            except Unavailable as error:
                log.warning("will try again", extra={"why": str(error)})
                pause = error.retry_after_seconds or 2.0
                self._stopping.wait(pause)
                continue
            except Exception:
                log.exception("worker step failed")
                self._stopping.wait(2.0)
                continue
            if pause is None:
                return
            if pause > 0:
                self._await_work(seen, pause)

    def _process(self, pipeline: Pipeline, claims: Sequence[Claim]) -> None:
        try:
            target = self.target(claims[0].revision_id, claims[0].index_id)
        except DatabaseUnavailable:
            raise  # no word on the model
        except RagIndexError as error:
            log.warning("cannot work on revision", extra={"revision": claims[0].revision_id, "why": str(error)})
            self._database.run(
                queue.give_back,
                claims,
                _MENDED_BY_HAND,
                reason=DocumentReason.EMBEDDING_FAILED,
                message=str(error),
            )
        else:
            pipeline.process(claims, target)

    def target(self, revision_id: int, index_id: int) -> Target:
        """What a revision's documents are built with, read anew for each group: the spec may have changed."""
        with self._database.begin() as connection:
            index = indexes.get(connection, index_id)
            revision = revisions.get(connection, revision_id)
        spec = RagIndexSpec.model_validate(index.spec)
        by_name = {source.name: source for source in spec.sources}

        def open_source(name: str) -> Source:
            if name not in by_name:
                raise DocumentRejected(DocumentReason.UNREADABLE, f"the spec has no source {name} any more")
            return self.open_source(index, by_name[name])

        embedder = self._embedders.of(revision, spec)
        target = Target(index, spec, revision, self._cached(embedder, revision), open_source)
        if revision.effective_max_tokens != target.rules.max_tokens:
            with self._database.begin() as connection:
                revisions.update(connection, revision.id, effective_max_tokens=target.rules.max_tokens)
        return target

    def _cached(self, embedder: Embedder, revision: RevisionRow) -> CachingEmbedder:
        return CachingEmbedder(self._database, embedder, revision.tables.element_type, self._wait)

    def open_source(self, index: IndexRow, source: SourceSpec) -> Source:
        if source.uploads is not None:
            return UploadsSource(self._database, index.id, source.name)
        return self._open_source(index, source)

    def _seal_loop(self) -> None:
        """Bring what was added since the indexes were built into them, a piece at a time."""

        def step() -> float | None:
            more = False
            # Under way, only whole segments; when all is done, what is left over too.
            idle = self._database.run(queue.next_due_seconds, index_id=self._settings.index_id) is None
            least = _SEAL_REST if idle else _SEAL_WHOLE
            for revision in self._database.run(revisions.searchable, self._settings.index_id):
                more |= not self._database.run(keyword.seal, revision.tables.keyword, least).idle
                more |= self._database.run(search.seal_vectors, revision.tables, _SEAL_VECTORS) > 0
            return 0.0 if more else _LOOK_EVERY

        self._loop(step)

    def _tidy_loop(self) -> None:
        """What nobody waits for: uploads that were never finished, embeddings that nobody used for long, history."""

        while not self._stopping.is_set():
            try:
                self._database.run(uploads.sweep)
                self._database.run(cache.trim, self._settings.cache_bytes)
                self._database.run(history.trim)
            except RagIndexError as error:
                log.warning("could not tidy up", extra={"why": str(error)})
            self._stopping.wait(_TIDY_EVERY)

    @contextmanager
    def _holding(self, claims: Sequence[Claim]) -> Iterator[None]:
        with self._in_hand_lock:
            self._in_hand.update({claim.token: claim for claim in claims})
        try:
            yield
        finally:
            with self._in_hand_lock:
                for claim in claims:
                    del self._in_hand[claim.token]

    def _keep_leases(self) -> None:
        while not self._stopping.wait(_RENEW_EVERY):
            with self._in_hand_lock:
                claims = list(self._in_hand.values())
            try:
                if claims:
                    self._database.run(queue.renew, claims)
            except RagIndexError as error:
                log.warning("leases could not be renewed", extra={"why": str(error)})
