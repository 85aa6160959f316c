"""An object beside its observed world, and the questions that both plan and status ask of the two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from ragindex_core.errors import FieldProblem
from ragindex_core.object.check import check
from ragindex_core.object.reasons import RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import inputs_key, revision_key
from ragindex_core.object.spec import PromotionMode
from ragindex_core.reconcile.actions import Trigger
from ragindex_core.reconcile.observed import (
    Observed,
    Request,
    Revision,
    RevisionState,
    RunState,
    Timetable,
    VectorIndexState,
)
from ragindex_core.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Limits:
    """What the deployable knows and the object does not say."""

    index_from_chunks: int = 10_000  # below, exact search is as fast and an index only costs
    reader_cache: timedelta = timedelta(seconds=60)  # how long a reader may go on using a revision it resolved
    keeps_schedules: bool = True  # False where a timetable of its own (a CronJob) starts the scheduled runs
    leases_last: timedelta = timedelta(seconds=90)  # of a run whose worker is gone, until another may take it
    rebuild_window: timedelta = timedelta(minutes=15)  # after a rebuild's hour, in which it may still be begun
    bloated_from: float = 1.5  # times the size of an index built anew
    look_at_mirrored: timedelta = timedelta(seconds=60)  # how often sources are looked at that tell of no change
    retry_first: timedelta = timedelta(seconds=30)
    retry_most: timedelta = timedelta(minutes=30)


@dataclass(frozen=True)
class Readiness:
    """How far a Building revision is from being promoted."""

    settled: bool  # every document of the catalogue is indexed or failed in it
    loaded: bool  # it holds enough of the active revision's documents
    indexed: bool  # its vector index is built, or none is needed


@dataclass(frozen=True)
class Situation:
    index: RagIndex
    observed: Observed
    now: datetime
    limits: Limits

    # What was asked for

    @cached_property
    def key(self) -> str:
        return revision_key(self.index.spec)

    @cached_property
    def inputs(self) -> str:
        return inputs_key(self.index.spec, {each.source: each.version for each in self.observed.mirrored})

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """Not answered yet: by annotation first, then those of the catalogue."""
        answered = {(handled.name, handled.value) for handled in self.observed.handled}
        annotated = (
            Request(name, value) for name in RequestName if (value := self.index.annotation(name.value)) is not None
        )
        every = dict.fromkeys((*annotated, *self.observed.requests))
        return tuple(request for request in every if (request.name, request.value) not in answered)

    def asked(self, name: RequestName) -> tuple[Request, ...]:
        return tuple(request for request in self.requests if request.name is name)

    # What forbids any work

    @property
    def paused(self) -> bool:
        return (self.index.annotation("paused") or "").lower() == "true"

    @property
    def database_ready(self) -> bool:
        return self.observed.database.reachable and self.observed.database.writable

    @cached_property
    def problems(self) -> tuple[FieldProblem, ...]:
        """What makes the spec unusable, beyond what its schema refuses."""
        problems = check(self.index.spec)
        row = self.observed.index
        if row is not None and row.database != self.index.spec.database_ref.name:
            rule = self.index.spec.database_ref.transition_rules[0]
            problems.append(FieldProblem("spec.databaseRef", rule.message))
        return tuple(problems)

    @property
    def adoption_refused(self) -> bool:
        wanted = self.index.annotation(RequestName.ADOPT_FROM.value)
        return self.observed.index is None and wanted is not None and wanted not in self.observed.adoptable

    @property
    def stalled(self) -> bool:
        return bool(self.problems or self.observed.refusals or (self.database_ready and self.adoption_refused))

    # Revisions

    @property
    def active(self) -> Revision | None:
        return self.observed.active

    @property
    def buildings(self) -> tuple[Revision, ...]:
        return self.observed.in_state(RevisionState.BUILDING)

    @cached_property
    def candidate(self) -> Revision | None:
        """The revision that is being built for the spec; None once the active one fits it."""
        if self.active is not None and self.active.key == self.key:
            return None
        return next((revision for revision in self.buildings if revision.key == self.key), None)

    @property
    def held(self) -> bool:
        """A rollback is in force: the spec's key does not take over by itself."""
        return self.observed.index is not None and self.observed.index.held_key == self.key

    @cached_property
    def serving(self) -> Revision | None:
        """The revision that readers should use: the active one, or during the first fill one that has something."""
        if self.active is not None:
            return self.active
        current = self.observed.index.serving if self.observed.index is not None else None
        return min(
            self.buildings,
            key=lambda r: (r.chunks == 0, r.number != current if r.chunks else r is not self.candidate, r.number),
            default=None,
        )

    @property
    def fed(self) -> tuple[Revision, ...]:
        """Revisions that follow the catalogue: the active one, and the one being built for the spec."""
        return tuple(revision for revision in (self.active, self.candidate) if revision is not None)

    def readiness(self, revision: Revision) -> Readiness:
        settled = (
            revision.tables_ready
            and revision.embedding_allowed
            and revision.missing == 0
            and revision.documents.unfinished == 0
        )
        if self.active is None:  # the first fill: everything listed, the index may follow
            succeeded = self.observed.runs.last_success
            listed = succeeded is not None and succeeded.inputs == self.inputs
            return Readiness(settled=settled, loaded=settled and listed, indexed=True)
        enough = revision.coverage.reaches(self.index.spec.rollout.min_documents_percent)
        loaded = revision.tables_ready and enough and (revision.coverage.covered > 0 or settled)
        return Readiness(settled=settled, loaded=loaded, indexed=not self.lacks_index(revision))

    def lacks_index(self, revision: Revision) -> bool:
        """Whether the revision should have a vector index and has none that is valid with the spec's parameters."""
        graph = self.index.spec.index.graph
        if graph is None or revision.chunks < self.limits.index_from_chunks:
            return False
        there = revision.vector_index
        return there.state is not VectorIndexState.VALID or (there.m, there.ef_construction) != (
            graph.m,
            graph.ef_construction,
        )

    def ready_for_promotion(self, revision: Revision) -> bool:
        """Whether nothing but a person's word can be missing."""
        readiness = self.readiness(revision)
        return readiness.loaded and readiness.indexed

    @property
    def promotes_by_itself(self) -> bool:
        automatic = self.index.spec.rollout.promotion is PromotionMode.AUTOMATIC
        return self.active is None or (automatic and not self.held)

    @property
    def listed_once(self) -> bool:
        """A run for the present sources and key has ended, however it went: what is known now can be estimated."""
        ended = self.observed.runs.last_ended
        return ended is not None and ended.inputs == self.inputs

    def over_budget(self, revision: Revision) -> bool:
        estimate = revision.estimated_tokens
        most = self.index.spec.rollout.max_estimated_tokens
        return estimate is not None and estimate > most and not revision.approved

    # Workers

    @property
    def may_start_pods(self) -> bool:
        rests_until = self.observed.crew.rests_until
        return not self.observed.crew.queued and (rests_until is None or rests_until <= self.now)

    # Runs

    @property
    def run_takable_at(self) -> datetime | None:
        """When the run under way may be taken by another; None when it may be now. A worker that died holds it until
        its lease is over."""
        last = self.observed.runs.last
        ended = self.observed.crew.left.get(last.id) if last is not None else None
        if last is None or ended is None or last.state is RunState.PENDING:
            return None
        at = ended + self.limits.leases_last
        return at if at > self.now else None

    @property
    def rebuild_schedule(self) -> Schedule | None:
        expression = self.index.spec.index.rebuild_schedule
        return Schedule(expression, "Etc/UTC") if expression is not None else None

    def to_be_rebuilt(self, revision: Revision) -> bool:
        """In its hour, and when it pays."""
        bloat = revision.vector_index.bloat
        if self.rebuild_schedule is None or bloat is None or bloat < self.limits.bloated_from:
            return False
        return self.rebuild_schedule.due(self.now - self.limits.rebuild_window, self.now)

    @property
    def wished_timetable(self) -> Timetable | None:
        if self.schedule is None:
            return None
        resting = self.index.spec.suspend or self.paused or bool(self.observed.refusals)
        return Timetable(self.schedule.expression, self.schedule.time_zone, suspended=resting)

    @property
    def schedule(self) -> Schedule | None:
        ingestion = self.index.spec.ingestion
        if ingestion.schedule is None or ingestion.time_zone is None:
            return None
        return Schedule(ingestion.schedule, ingestion.time_zone)

    @property
    def retry_at(self) -> datetime | None:
        """When a failed run is tried again: later after each failure."""
        last = self.observed.runs.last
        if last is None or last.state is not RunState.FAILED:
            return None
        doublings = min(max(self.observed.runs.consecutive_failures - 1, 0), 16)
        wait: timedelta = min(self.limits.retry_first * (1 << doublings), self.limits.retry_most)
        return (last.completed_at or last.requested_at) + wait

    @cached_property
    def accepted_shrink(self) -> Request | None:
        ended = self.observed.runs.last_ended
        if ended is None or not ended.shrunk:
            return None
        return next((request for request in self.asked(RequestName.ACCEPT_SHRINK) if request.target == ended.id), None)

    @cached_property
    def due(self) -> Trigger | None:
        """Why a run should start now, were none under way and ingestion not suspended."""
        last = self.observed.runs.last
        if self.accepted_shrink is not None:
            return Trigger.SHRINK_ACCEPTED
        if self.asked(RequestName.SYNC):
            return Trigger.REQUESTED
        if last is None:
            return Trigger.CREATED
        if last.inputs != self.inputs:
            return Trigger.SPEC_CHANGED
        if self.retry_at is not None and self.retry_at <= self.now:
            return Trigger.RETRY
        if self.limits.keeps_schedules and self.schedule is not None and self.schedule.due(last.requested_at, self.now):
            return Trigger.SCHEDULED
        return None
