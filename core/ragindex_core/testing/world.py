"""A small world for plans to be carried out in: a catalogue, revisions, runs and workers, all in memory.

It keeps the promises that ``ragindex_core.reconcile.actions`` makes of each action, and refuses what must never happen:
to retire or drop what readers use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from ragindex_core.object.reasons import ConditionType, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import Projection
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import (
    Coverage,
    Crew,
    DatabaseState,
    DocumentCounts,
    Handled,
    IndexRow,
    MirroredSource,
    Observed,
    Request,
    Revision,
    RevisionState,
    Run,
    Runs,
    RunState,
    ShrunkSource,
    VectorIndex,
    VectorIndexState,
    Workers,
)
from ragindex_core.reconcile.plan import plan, wake_at
from ragindex_core.reconcile.situation import Limits
from ragindex_core.reconcile.status import status_of
from ragindex_core.sync.shrink import Listing, shrunk

Key: TypeAlias = tuple[str, str]  # source and path
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CHUNKS_A_DOCUMENT = 10


@dataclass
class SimulatedRevision:
    number: int
    key: str
    projection: Projection
    state: RevisionState = RevisionState.BUILDING
    tables: bool = False
    held: dict[Key, tuple[str, int]] = field(default_factory=dict)  # searchable: document -> version
    queued: dict[Key, int] = field(default_factory=dict)
    failed: dict[Key, int] = field(default_factory=dict)
    vector_index: VectorIndex = field(default_factory=VectorIndex)
    estimate: int | None = None
    approved: bool = False
    allowed: bool = False
    promoted_at: datetime | None = None
    retired_at: datetime | None = None

    @property
    def chunks(self) -> int:
        return len(self.held) * CHUNKS_A_DOCUMENT

    def knows(self, document: Key, version: int) -> bool:
        return version in (self.queued.get(document), self.failed.get(document), self.held.get(document, ("", -1))[1])

    def forget(self, document: Key) -> None:
        for table in (self.held, self.queued, self.failed):
            table.pop(document, None)


@dataclass
class World:
    """``sources`` is the outside: what each source would list, as path -> version."""

    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(index_from_chunks=30))
    now: datetime = START
    row: IndexRow | None = None
    recorded: RagIndexSpec | None = None
    catalogue: dict[Key, int] = field(default_factory=dict)
    revisions: list[SimulatedRevision] = field(default_factory=list)
    next_number: int = 1
    runs: list[Run] = field(default_factory=list)
    accepted: dict[str, frozenset[str]] = field(default_factory=dict)  # run -> sources that may shrink
    failures: int = 0
    crew: Crew = field(default_factory=Crew)
    mirrored: dict[str, MirroredSource] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    database: DatabaseState = field(default_factory=DatabaseState)
    adoptable: frozenset[str] = frozenset()
    released: bool = False
    unreachable_sources: set[str] = field(default_factory=set)

    def in_cluster(self) -> None:
        """Nobody stands by: Jobs carry out runs, and a CronJob starts those that a schedule wants."""
        self.limits = replace(self.limits, keeps_schedules=False)
        self.crew = Crew(listing=False, stands_by=False)

    # Looking

    def observe(self) -> Observed:
        if not self.database.reachable:
            return Observed(database=self.database, crew=self.crew)
        ended = [run for run in self.runs if not run.under_way]
        good = [run for run in ended if run.state is RunState.SUCCEEDED]
        return Observed(
            database=self.database,
            index=self.row,
            revisions=tuple(self._seen(revision) for revision in self.revisions),
            runs=Runs(
                last=self.runs[-1] if self.runs else None,
                last_ended=ended[-1] if ended else None,
                last_success=good[-1] if good else None,
                consecutive_failures=self.failures,
            ),
            requests=tuple(self.requests),
            handled=tuple(self.handled),
            crew=self.crew,
            mirrored=tuple(self.mirrored.values()),
            adoptable=self.adoptable,
        )

    def _seen(self, revision: SimulatedRevision) -> Revision:
        active = next((r for r in self.revisions if r.state is RevisionState.ACTIVE), None)
        surviving = [document for document in active.held if document in self.catalogue] if active else []
        return Revision(
            number=revision.number,
            key=revision.key,
            projection=revision.projection,
            state=revision.state,
            tables_ready=revision.tables,
            missing=sum(not revision.knows(document, version) for document, version in self.catalogue.items()),
            documents=DocumentCounts(
                indexed=sum(document not in revision.queued for document in revision.held),
                pending=len(revision.queued),
                failed=len(revision.failed),
            ),
            chunks=revision.chunks,
            coverage=Coverage(len(surviving), sum(document in revision.held for document in surviving)),
            vector_index=revision.vector_index,
            estimated_tokens=revision.estimate,
            approved=revision.approved,
            embedding_allowed=revision.allowed,
            promoted_at=revision.promoted_at,
            retired_at=revision.retired_at,
        )

    def serving(self) -> SimulatedRevision | None:
        """What a query would use now."""
        return self._revision(self.row.serving) if self.row is not None and self.row.serving is not None else None

    def searchable(self) -> set[str]:
        """Paths of the documents that a query could find now."""
        serving = self.serving()
        return {path for _, path in serving.held} if serving is not None else set()

    def states(self) -> dict[int, str]:
        return {revision.number: revision.state.value for revision in self.revisions}

    def says(self, index: RagIndex, type_: ConditionType) -> str:
        """Status and reason of one condition: ``True/Serving``."""
        condition = status_of(index, self.observe(), None, self.now, self.limits).condition(type_)
        assert condition is not None
        return f"{condition.status}/{condition.reason}"

    def _revision(self, number: int) -> SimulatedRevision:
        return next(revision for revision in self.revisions if revision.number == number)

    def _pointed_at(self, serving: int | None) -> None:
        assert self.row is not None
        self.row = replace(self.row, serving=serving)

    # Carrying out

    def apply(self, action: a.Action, index: RagIndex) -> None:
        match action:
            case a.RegisterIndex(generation, inputs):
                kept = self.row or IndexRow(generation, index.spec.database_ref.name)
                self.row = replace(kept, generation=generation, inputs=inputs, retained=False)
                self.recorded = index.spec
            case a.AdoptIndex(_, generation, inputs):
                self.row, self.recorded = IndexRow(generation, index.spec.database_ref.name, inputs), index.spec
            case a.CreateRevision(key, projection):
                self._create(key, dict(projection))
            case a.StartRun():
                self._start_run(action)
            case a.AnswerRequest(name, value, outcome, message):
                self.requests = [r for r in self.requests if (r.name, r.value) != (name, value)]
                if not any((handled.name, handled.value) == (name, value) for handled in self.handled):
                    self.handled.append(Handled(name, value, outcome, self.now, message))
            case a.EnsureWorkers(revisions, parallelism):
                self.crew = replace(self.crew, workers=Workers(revisions, parallelism))
            case a.StopWorkers():
                self.crew = replace(self.crew, workers=None, listing=self.crew.stands_by)
            case a.ListSources(run):
                assert run == self.runs[-1].id
                self.crew = replace(self.crew, listing=True)
            case a.KeepTimetable(timetable):
                self.crew = replace(self.crew, timetable=timetable)
            case a.DropTimetable():
                self.crew = replace(self.crew, timetable=None)
            case a.MirrorSource(source):
                there = self.mirrored[source].there
                self.mirrored[source] = MirroredSource(source, there, copied=True, version=there)
            case a.ReleaseHold():
                assert self.row is not None
                self.row = replace(self.row, held_key=None)
            case a.RetryFailed(revisions) | a.RebuildDocuments(revisions):
                self._requeue(revisions, everything=isinstance(action, a.RebuildDocuments))
            case a.RetainIndex():
                self.row = replace(self.row, retained=True) if self.row is not None else None
            case a.DropIndex():
                self.row, self.revisions, self.catalogue = None, [], {}
            case a.ReleaseObject():
                self.released = True
            case a.DropRevision(number):
                assert self.row is not None
                assert self.row.serving != number, "a revision in use was dropped"
                assert all(r.state is RevisionState.DROPPING for r in self.revisions if r.number == number)
                self.revisions = [revision for revision in self.revisions if revision.number != number]
            case _:
                self._change_revision(action)

    def _create(self, key: str, projection: Projection) -> None:
        live = (RevisionState.BUILDING, RevisionState.ACTIVE)
        if any(revision.key == key and revision.state in live for revision in self.revisions):
            return
        self.revisions.append(SimulatedRevision(self.next_number, key, projection))
        if self.row is not None and self.row.serving is None:
            self._pointed_at(self.next_number)
        self.next_number += 1

    def _start_run(self, action: a.StartRun) -> None:
        if self.runs and self.runs[-1].under_way:
            return
        run = Run(f"run-{len(self.runs) + 1}", RunState.RUNNING, action.inputs, self.now)
        if action.accept_shrink_of is not None:
            named = next(run for run in self.runs if run.id == action.accept_shrink_of)
            self.accepted[run.id] = frozenset(shrink.source for shrink in named.shrunk)
        self.runs.append(run)

    def _requeue(self, numbers: frozenset[int], *, everything: bool) -> None:
        for revision in self.revisions:
            if revision.number in numbers:
                again = {document for document in self.catalogue if everything or document in revision.failed}
                for document in again:
                    revision.failed.pop(document, None)
                    revision.queued[document] = self.catalogue[document]

    def _change_revision(self, action: a.Action) -> None:
        revision = self._revision(action.revision)  # type: ignore[union-attr]  # all that remain name a revision
        match action:
            case a.ResumeRevision():
                revision.state, revision.allowed, revision.estimate = RevisionState.BUILDING, False, None
            case a.CreateTables():
                revision.tables = True
            case a.Enqueue():
                for document, version in self.catalogue.items():
                    if not revision.knows(document, version):
                        revision.queued[document] = version
            case a.EstimateCost():
                revision.estimate = 100 * len(revision.queued)
            case a.Approve():
                revision.approved = True
            case a.AllowEmbedding():
                revision.allowed = True
            case a.BuildVectorIndex(_, m, ef_construction):
                revision.vector_index = VectorIndex(VectorIndexState.BUILDING, m, ef_construction)
            case a.DropVectorIndex():
                revision.vector_index = VectorIndex()
            case a.Serve():
                self._pointed_at(revision.number)
            case a.Promote() | a.Rollback():
                self._switch_to(revision)
                if isinstance(action, a.Rollback):
                    assert self.row is not None
                    self.row = replace(self.row, held_key=action.held_key)
            case a.RetireRevision():
                assert self.row is not None
                assert self.row.serving != revision.number, "a revision in use was retired"
                if revision.state is not RevisionState.DROPPING:
                    revision.state, revision.retired_at = RevisionState.DROPPING, self.now

    def _switch_to(self, revision: SimulatedRevision) -> None:
        assert revision.tables
        for other in self.revisions:
            if other.state is RevisionState.ACTIVE and other is not revision:
                other.state, other.retired_at = RevisionState.RETAINED, self.now
        if revision.state is not RevisionState.ACTIVE:
            revision.state, revision.promoted_at = RevisionState.ACTIVE, self.now
        self._pointed_at(revision.number)

    # What happens outside the reconciler

    def work(self) -> bool:
        """Runs, workers and index builds each come one step further. Returns whether anything happened."""
        happened = False
        if self.runs and self.runs[-1].under_way and self.crew.listing:
            self._finish_run()
            self.crew = replace(self.crew, listing=self.crew.stands_by)
            happened = True
        if self.crew.workers is not None:
            happened = self._embed(self.crew.workers) or happened
        for revision in self.revisions:
            if revision.vector_index.state is VectorIndexState.BUILDING:
                revision.vector_index = replace(revision.vector_index, state=VectorIndexState.VALID)
                happened = True
        return happened

    def _embed(self, workers: Workers) -> bool:
        """Every worker takes a document; when the queues are empty they end."""
        for revision in self.revisions:
            if revision.number not in workers.revisions or not revision.allowed:
                continue
            for document in sorted(revision.queued)[: workers.parallelism]:
                version = revision.queued.pop(document)
                if document[1].startswith("bad"):
                    revision.failed[document] = version
                else:
                    revision.held[document] = (revision.key, version)
        if not any(r.queued for r in self.revisions if r.number in workers.revisions and r.allowed):
            self.crew = replace(self.crew, workers=None)
        return True

    def _finish_run(self) -> None:
        run, spec = self.runs[-1], self.recorded
        assert spec is not None
        names = {source.name for source in spec.sources}
        lost: list[ShrunkSource] = []
        for document in [document for document in self.catalogue if document[0] not in names]:
            self._remove(document)  # its source left the spec: that is consent
        for name in sorted(names - self.unreachable_sources):
            listed = self.sources.get(name, {})
            known = [document for document in self.catalogue if document[0] == name]
            gone = [document for document in known if document[1] not in listed]
            self._add(name, listed)
            too_few = shrunk(Listing(name, len(known), len(gone), len(listed)), spec.ingestion.max_delete_percent)
            if too_few and name not in self.accepted.get(run.id, frozenset()):
                lost.append(ShrunkSource(name, len(known), len(gone)))
                continue
            for document in gone:
                self._remove(document)
        good = not names & self.unreachable_sources
        self.failures = 0 if good else self.failures + 1
        self.runs[-1] = replace(
            run,
            state=RunState.SUCCEEDED if good else RunState.FAILED,
            completed_at=self.now,
            message="" if good else "a source does not answer",
            shrunk=tuple(lost),
        )

    def _add(self, source: str, listed: dict[str, int]) -> None:
        for path, version in listed.items():
            document = (source, path)
            if self.catalogue.get(document) == version:
                continue
            self.catalogue[document] = version
            for revision in self.revisions:
                if revision.state in (RevisionState.BUILDING, RevisionState.ACTIVE):
                    revision.failed.pop(document, None)
                    revision.queued[document] = version

    def _remove(self, document: Key) -> None:
        del self.catalogue[document]
        for revision in self.revisions:
            revision.forget(document)

    # Time

    def ask(self, name: RequestName, value: str) -> None:
        self.requests.append(Request(name, value))

    def reconcile(self, index: RagIndex) -> tuple[a.Action, ...]:
        """One look, and all that it asks for."""
        actions = plan(index, self.observe(), self.now, self.limits)
        for action in actions:
            self.apply(action, index)
        return actions

    def settle(self, index: RagIndex, *, rounds: int = 500) -> None:
        """Until nothing is left to do but to wait for the clock."""
        for _ in range(rounds):
            busy = bool(self.reconcile(index))
            if self.released or not (self.work() or busy):
                return
            self.now += timedelta(seconds=1)
        raise AssertionError("the world never came to rest")

    def settle_until(self, index: RagIndex, reached: Callable[[], bool], *, rounds: int = 500) -> None:
        """Step by step until ``reached``, which is asked between what is planned and what happens outside too."""
        for _ in range(rounds):
            if reached():
                return
            self.reconcile(index)
            if reached():
                return
            self.work()
        raise AssertionError("the world never got there")

    def settle_past_caches(self, index: RagIndex) -> None:
        """Until nothing is left even when readers' caches have expired; for objects without a schedule."""
        self.settle(index)
        while (wake := wake_at(index, self.observe(), self.now, self.limits)) is not None:
            self.now = wake
            self.settle(index)
