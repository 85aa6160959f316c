"""Carries out the actions of a plan. Each is safe to repeat: what is done already is left as it is.

What an action changes in the catalogue, and the answer to whoever asked for it, is one transaction that only the
present holder of the epoch can commit. What lies outside (workers, index builds, the object itself) is begun only after
a look at the epoch.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, singledispatchmethod
from typing import Any, cast

from ragindex_core.analysis import ANALYSER_VERSION
from ragindex_core.errors import NotFound, Unavailable
from ragindex_core.object.resource import RagIndex, knowledge_base_id
from ragindex_core.object.revision import complete
from ragindex_core.object.spec import EmbeddingProvider
from ragindex_core.reconcile import actions as act
from ragindex_core.reconcile import estimate
from ragindex_core.reconcile.observed import Workers
from ragindex_db import config_maps, indexes, queue, requests, revisions, runs, search, signals
from ragindex_db.data_tables import RevisionTables
from ragindex_db.engine import Connection, Database
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.outside import Originals, Workforce, mirrored_sources

log = logging.getLogger(__name__)

#: What has its effect outside the catalogue.
_ELSEWHERE = (
    act.EnsureWorkers,
    act.ListSources,
    act.KeepTimetable,
    act.DropTimetable,
    act.StopWorkers,
    act.MirrorSource,
    act.BuildVectorIndex,
    act.DropVectorIndex,
    act.ReleaseObject,
)
#: What ends something, and so never waits for the database.
_LETTING_GO = (act.DropTimetable, act.StopWorkers, act.ReleaseObject)


@dataclass(frozen=True, slots=True)
class Performer:
    """One object's actions, carried out against the catalogue by the holder of the installation's epoch."""

    database: Database
    fence: Fence
    wanted: RagIndex
    base_path: str | None
    workforce: Workforce
    builds: Builds
    release: Callable[[], None]
    originals: Originals | None = None

    def perform(self, action: act.Action, answers: Sequence[act.AnswerRequest] = ()) -> bool:
        """The action with the answers to those who asked for it; True when the object was let go by it."""
        log.info("performing", extra={"action": type(action).__name__, "index": self.wanted.path})
        if isinstance(action, _ELSEWHERE):
            self._look_at_epoch(action)
            self._begin(action)
        else:
            with self.fence.begin(self.database) as connection:
                for part in (action, *answers):
                    self._do(part, connection)
        return isinstance(action, act.ReleaseObject)

    def _look_at_epoch(self, action: act.Action) -> None:
        try:
            self.fence.check(self.database)
        except Unavailable:
            if not isinstance(action, _LETTING_GO):
                raise

    @staticmethod
    def goes_on_by_itself(action: act.Action) -> bool:
        """Whether its effect comes later, and then wakes us: no use in looking again at once."""
        return isinstance(action, act.BuildVectorIndex | act.DropVectorIndex)

    @singledispatchmethod
    def _do(self, action: Any, _connection: Connection) -> None:
        raise TypeError(f"no way to carry out {action!r}")

    @singledispatchmethod
    def _begin(self, action: Any) -> None:
        raise TypeError(f"no way to carry out {action!r}")

    @_do.register
    def _register(self, action: act.RegisterIndex, connection: Connection) -> None:
        meta = self.wanted.metadata
        wire = self.wanted.to_wire()
        indexes.retain_namesakes(connection, self.fence.installation, meta.namespace, meta.name, meta.uid)
        row = indexes.register(
            connection,
            installation=self.fence.installation,
            uid=meta.uid,
            namespace=meta.namespace,
            name=meta.name,
            generation=action.generation,
            object_metadata=wire["metadata"],
            spec=wire["spec"],
            knowledge_base_id=knowledge_base_id(meta.uid),
            base_path=self.base_path,
            suspended=self.wanted.spec.suspend,
            inputs=action.inputs,
        )
        config_maps.forget(connection, row.id, [source.name for source in mirrored_sources(self.wanted)])
        signals.send(connection, "worker")

    @_do.register
    def _adopt(self, action: act.AdoptIndex, connection: Connection) -> None:
        retained = indexes.by_uid(connection, action.from_uid)
        if retained is not None and retained.retained_at is not None:
            indexes.adopt(connection, retained, self.wanted.metadata.uid)
        self._register(act.RegisterIndex(action.generation, action.inputs), connection)

    @_do.register
    def _create_revision(self, action: act.CreateRevision, connection: Connection) -> None:
        row = self._row(connection)
        kept = revisions.list_kept(connection, row.id)
        if any(r.state == "Building" and r.key == action.key for r in kept):
            return
        created = revisions.create(connection, row.id, action.key, dict(action.projection), ANALYSER_VERSION)
        if row.serving_revision_id is None:
            indexes.serve(connection, row.id, created.id)

    @_do.register
    def _resume(self, action: act.ResumeRevision, connection: Connection) -> None:
        self._set(
            connection,
            action.revision,
            state="Building",
            retired_at=None,
            embedding_allowed=False,
            approved=False,
            estimated_tokens=None,
            estimated_cost_micro_usd=None,
        )

    @_do.register
    def _create_tables(self, action: act.CreateTables, connection: Connection) -> None:
        revisions.create_tables(connection, self._revision(connection, action.revision).tables)

    @_do.register
    def _enqueue(self, action: act.Enqueue, connection: Connection) -> None:
        row = self._row(connection)
        revisions.enqueue_all(connection, self._revision(connection, action.revision), row.namespace)
        signals.send(connection, "worker")

    @_do.register
    def _estimate(self, action: act.EstimateCost, connection: Connection) -> None:
        revision = self._revision(connection, action.revision)
        built = complete(dict(revision.projection))
        tokens = estimate.tokens(
            revisions.waiting(connection, revision.id), built["chunking.maxTokens"], built["chunking.overlapTokens"]
        )
        # What runs on one's own processors has no price; of a provider's we do not know it.
        cost = 0 if self.wanted.spec.embedding.provider is EmbeddingProvider.LOCAL else None
        revisions.update(connection, revision.id, estimated_tokens=tokens, estimated_cost_micro_usd=cost)

    @_do.register
    def _approve(self, action: act.Approve, connection: Connection) -> None:
        self._set(connection, action.revision, approved=True)

    @_do.register
    def _allow(self, action: act.AllowEmbedding, connection: Connection) -> None:
        self._set(connection, action.revision, embedding_allowed=True)

    @_do.register
    def _start_run(self, action: act.StartRun, connection: Connection) -> None:
        row = self._row(connection)
        accepted = _shrunk_in(connection, row.id, action.accept_shrink_of)
        runs.request(connection, row.id, action.trigger.value, action.inputs, accepted_sources=accepted)
        signals.send(connection, "worker")

    @_begin.register
    def _ensure_workers(self, action: act.EnsureWorkers) -> None:
        workers = Workers(revisions=action.revisions, parallelism=action.parallelism)
        self.workforce.ensure(self.wanted, workers)

    @_begin.register
    def _list_sources(self, action: act.ListSources) -> None:
        self.workforce.list_sources(self.wanted, action.run)

    @_begin.register
    def _keep_timetable(self, action: act.KeepTimetable) -> None:
        self.workforce.keep(self.wanted, action.timetable)

    @_begin.register
    def _drop_timetable(self, _action: act.DropTimetable) -> None:
        self.workforce.drop_timetable(self.wanted)

    @_begin.register
    def _mirror(self, action: act.MirrorSource) -> None:
        """Read before the transaction begins: it must not wait for somebody else's answer."""
        assert self.originals is not None
        named = next(source for source in self.wanted.spec.sources if source.name == action.source)
        assert named.config_map is not None
        name = named.config_map.name
        original = self.originals.read(self.wanted, name)
        with self.fence.begin(self.database) as connection:
            row = self._row(connection)
            version, entries = (original.version, original.entries) if original is not None else (None, {})
            config_maps.mirror(connection, row.id, action.source, name, version, entries)

    @_begin.register
    def _stop_workers(self, _action: act.StopWorkers) -> None:
        self.workforce.stop(self.wanted)

    @_begin.register
    def _build_index(self, action: act.BuildVectorIndex) -> None:
        with self.database.begin() as connection:
            tables = self._revision(connection, action.revision).tables
        self.builds.start(tables.vector.name, partial(self._build, tables, action))

    def _build(self, tables: RevisionTables, action: act.BuildVectorIndex) -> None:
        """Its turn may come long after it was asked for."""
        self.fence.check(self.database)
        distance = self.wanted.spec.embedding.distance
        search.build_vector_index(
            self.database,
            tables,
            m=action.m,
            ef_construction=action.ef_construction,
            distance=distance,
            again=action.again,
        )
        self._say_that_it_ended()

    @_begin.register
    def _drop_index(self, action: act.DropVectorIndex) -> None:
        with self.database.begin() as connection:
            tables = self._revision(connection, action.revision).tables
        self.builds.start(tables.vector.name, partial(self._drop_left, tables))

    def _drop_left(self, tables: RevisionTables) -> None:
        self.fence.check(self.database)
        search.drop_vector_index(self.database, tables)
        self._say_that_it_ended()

    def _say_that_it_ended(self) -> None:
        with self.database.begin() as connection:
            row = indexes.by_uid(connection, self.wanted.metadata.uid)
            if row is not None:
                signals.send(connection, f"index:{row.id}")

    @_do.register
    def _serve(self, action: act.Serve, connection: Connection) -> None:
        revision = self._revision(connection, action.revision)
        indexes.serve(connection, revision.index_id, revision.id)

    @_do.register
    def _promote(self, action: act.Promote, connection: Connection) -> None:
        self._make_active(connection, action.revision)

    @_do.register
    def _rollback(self, action: act.Rollback, connection: Connection) -> None:
        row = self._row(connection)
        revision = self._make_active(connection, action.revision)
        indexes.hold_key(connection, row.id, action.held_key)
        # What it missed while it was retained is in its queue already, or known to the catalogue alone.
        revisions.enqueue_all(connection, revision, row.namespace)
        revisions.update(connection, revision.id, embedding_allowed=True)
        signals.send(connection, "worker")

    def _make_active(self, connection: Connection, number: int) -> RevisionRow:
        """One transaction: readers see the old revision until it commits and the new one from then on."""
        row = self._row(connection)
        revision = self._revision(connection, number)
        for other in revisions.list_kept(connection, row.id):
            if other.state == "Active" and other.id != revision.id:
                revisions.update(connection, other.id, state="Retained", retired_at=revisions.now())
        if revision.state != "Active":
            revisions.update(connection, revision.id, state="Active", promoted_at=revisions.now(), retired_at=None)
        indexes.serve(connection, row.id, revision.id)
        signals.send(connection, f"promoted:{row.id}")
        return revision

    @_do.register
    def _release_hold(self, _action: act.ReleaseHold, connection: Connection) -> None:
        indexes.hold_key(connection, self._row(connection).id, None)

    @_do.register
    def _retire(self, action: act.RetireRevision, connection: Connection) -> None:
        self._set(connection, action.revision, state="Dropping", retired_at=revisions.now(), embedding_allowed=False)

    @_do.register
    def _drop(self, action: act.DropRevision, connection: Connection) -> None:
        found = revisions.by_number(connection, self._row(connection).id, action.revision)
        if found is not None:
            revisions.drop_tables(connection, found.tables)

    @_do.register
    def _retry_failed(self, action: act.RetryFailed, connection: Connection) -> None:
        for number in sorted(action.revisions):
            queue.retry_failed(connection, self._revision(connection, number).id)
        signals.send(connection, "worker")

    @_do.register
    def _rebuild(self, action: act.RebuildDocuments, connection: Connection) -> None:
        for number in sorted(action.revisions):
            queue.rebuild(connection, self._revision(connection, number).id)
        signals.send(connection, "worker")

    @_do.register
    def _answer(self, action: act.AnswerRequest, connection: Connection) -> None:
        row = self._row(connection)
        requests.answer(connection, row.id, action.name.value, action.value, action.outcome.value, action.message)

    @_do.register
    def _retain(self, _action: act.RetainIndex, connection: Connection) -> None:
        indexes.retain(connection, self._row(connection).id)

    @_do.register
    def _drop_all(self, _action: act.DropIndex, connection: Connection) -> None:
        """All that this uid made: its rows, then its tables. What another object made is not touched."""
        row = indexes.by_uid(connection, self.wanted.metadata.uid)
        if row is None:
            return
        kept = revisions.list_kept(connection, row.id)
        indexes.remove(connection, row.id)
        for revision in kept:
            revisions.drop_tables(connection, revision.tables)

    @_begin.register
    def _release(self, _action: act.ReleaseObject) -> None:
        self.release()

    def _row(self, connection: Connection) -> IndexRow:
        row = indexes.by_uid(connection, self.wanted.metadata.uid)
        if row is None:
            raise NotFound(f"{self.wanted.path} is not in the catalogue")
        return row

    def _revision(self, connection: Connection, number: int) -> RevisionRow:
        row = self._row(connection)
        found = revisions.by_number(connection, row.id, number)
        if found is None:
            raise NotFound(f"{self.wanted.path} has no revision r{number}")
        return found

    def _set(self, connection: Connection, number: int, **values: Any) -> None:
        revisions.update(connection, self._revision(connection, number).id, **values)
        signals.send(connection, "worker")


def with_answers(actions: Sequence[act.Action]) -> Iterator[tuple[act.Action, list[act.AnswerRequest]]]:
    """Each action, and the answers that follow it in the plan: what was asked for is done once, and answered so."""
    rest = deque(actions)
    while rest:
        action, answers = rest.popleft(), list[act.AnswerRequest]()
        while rest and isinstance(rest[0], act.AnswerRequest):
            answers.append(cast(act.AnswerRequest, rest.popleft()))
        yield action, answers


def _shrunk_in(connection: Connection, index_id: int, run_id: str | None) -> list[str]:
    """The sources that this run held back: consent covers those and no others."""
    if run_id is None or not run_id.isdigit():
        return []
    run = runs.get(connection, index_id, int(run_id))
    return [name for name, counts in run.sources.items() if counts["state"] == "Shrunk"] if run else []
