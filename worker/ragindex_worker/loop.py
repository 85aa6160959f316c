"""The worker itself: threads that take sync runs and documents as they come due, until told to stop or, in a Job,
until nothing is left to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, InvalidInput, Misconfigured, RagIndexError
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Source
from ragindex_db import cache, history, indexes, queue, revisions, uploads
from ragindex_db.engine import Database, DatabaseUnavailable
from ragindex_db.queue import Claim
from ragindex_db.revisions import RevisionRow
from ragindex_worker.embedding import CachingEmbedder
from ragindex_worker.listing import Lister
from ragindex_worker.opening import OpenSource, open_any_source
from ragindex_worker.parsing.sandbox import Sandbox
from ragindex_worker.pipeline import Pipeline, Target
from ragindex_worker.sealing import Sealer
from ragindex_worker.steps import Steps

log = logging.getLogger(__name__)

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
    lists: bool = True  # carry out sync runs too; in a cluster other Jobs do
    drain: bool = False  # end when nothing is pending or leased
    cache_bytes: int = 2 << 30  # the embedding cache is kept below this


class Worker:
    """``wake`` may be called from anywhere, and is, when a signal says that there is something to do."""

    def __init__(
        self, database: Database, embedders: EmbedderOf, open_source: OpenSource, settings: WorkerSettings
    ) -> None:
        self._database = database
        self._embedders = embedders
        self._open_source = partial(open_any_source, database, open_source)
        self._settings = settings
        self._owner = queue.new_owner()
        self._steps = Steps()
        self._written = threading.Event()  # what was to be drained is
        self._hopeless: dict[int, str] = {}
        self._in_hand: dict[str, Claim] = {}
        self._in_hand_lock = threading.Lock()

    @property
    def hopeless(self) -> Mapping[int, str]:
        """Revisions whose documents were left, when all others were done, because nothing but another configuration
        can help: what is wrong, by their ids."""
        return self._hopeless

    def run(self) -> bool:
        """Until ``stop``, or until all is drained: only then True. Every thread it started has ended when it
        returns."""
        threads = [
            threading.Thread(target=self._document_loop, name=f"documents-{n}") for n in range(self._settings.threads)
        ]
        if self._settings.lists:
            threads.append(threading.Thread(target=self._sync_loop, name="sync"))
        sealing = threading.Thread(target=self._seal_loop, name="sealing")
        helpers = [
            threading.Thread(target=self._tidy_loop, name="tidying"),
            threading.Thread(target=self._keep_leases, name="leases"),
        ]
        for thread in [*threads, sealing, *helpers]:
            thread.start()
        for thread in threads:
            thread.join()
        self._written.set()
        self.wake()
        sealing.join()
        drained = not self._steps.stopping()
        self.stop()
        for thread in helpers:
            thread.join()
        return drained

    def stop(self) -> None:
        """Begin no more; what is in hand is finished or given back."""
        self._steps.stop()

    def wake(self) -> None:
        self._steps.wake()

    def _sync_loop(self) -> None:
        settings = self._settings
        lister = Lister(self._database, self._open_source, self._steps, self._owner, settings.index_id)

        def step() -> float | None:
            if lister.next() is None:
                return None if settings.drain else _LOOK_EVERY
            self.wake()
            return 0.0

        self._steps.repeat(step)

    def _document_loop(self) -> None:
        with Sandbox() as sandbox:
            self._work_off(Pipeline(self._database, sandbox, self._settings.scratch, self._steps.stopping))

    def _work_off(self, pipeline: Pipeline) -> None:
        dropped: list[Claim] = []  # what was in hand when the database went away
        counts = False

        def step() -> float | None:
            nonlocal counts
            if dropped:
                self._database.run(queue.give_back, dropped, counts=counts)
                dropped.clear()
            index_id, hopeless = self._settings.index_id, tuple(self._hopeless)
            claims = self._database.run(queue.claim, self._owner, _CLAIM, index_id=index_id, without=hopeless)
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
            due = self._database.run(queue.next_due_seconds, index_id=index_id, without=hopeless)
            if due is None:
                return None if self._settings.drain else _LOOK_EVERY
            return min(max(due, 0.05), _LOOK_EVERY)

        self._steps.repeat(step)

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
            if isinstance(error, InvalidInput | Misconfigured):
                self._give_up(claims[0].revision_id, str(error))
        else:
            pipeline.process(claims, target)
            if target.embedder.unusable is not None:
                self._give_up(claims[0].revision_id, target.embedder.unusable)

    def _give_up(self, revision_id: int, why: str) -> None:
        """One who is to end when nothing is left to do must not wait until somebody has mended it."""
        if self._settings.drain:
            self._hopeless[revision_id] = why

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
            return self._open_source(index, by_name[name])

        embedder = self._embedders.of(revision, spec)
        target = Target(index, spec, revision, self._cached(embedder, revision), open_source)
        if revision.effective_max_tokens != target.rules.max_tokens:
            with self._database.begin() as connection:
                revisions.update(connection, revision.id, effective_max_tokens=target.rules.max_tokens)
        return target

    def _cached(self, embedder: Embedder, revision: RevisionRow) -> CachingEmbedder:
        return CachingEmbedder(self._database, embedder, revision.tables.element_type, self._steps.wait)

    def _seal_loop(self) -> None:
        """Once all is written, until all of it is sealed: in a Job nobody comes after us who would do it."""
        sealer = Sealer(self._database, self._settings.index_id)

        def step() -> float | None:
            if self._written.is_set():
                return sealer.finish()
            return 0.0 if sealer.step() else _LOOK_EVERY

        self._steps.repeat(step)

    def _tidy_loop(self) -> None:
        """What nobody waits for: uploads that were never finished, embeddings that nobody used for long, history."""

        while not self._steps.stopping():
            try:
                self._database.run(uploads.sweep)
                self._database.run(cache.trim, self._settings.cache_bytes)
                self._database.run(history.trim)
            except RagIndexError as error:
                log.warning("could not tidy up", extra={"why": str(error)})
            self._steps.wait(_TIDY_EVERY)

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
        while not self._steps.wait(_RENEW_EVERY):
            with self._in_hand_lock:
                claims = list(self._in_hand.values())
            try:
                if claims:
                    self._database.run(queue.renew, claims)
            except RagIndexError as error:
                log.warning("leases could not be renewed", extra={"why": str(error)})
