"""The step from what is to what is wished, as data.

``plan`` is called again after its actions were carried out, until it has nothing left to ask for; each look is fresh.
The order of ``_STEPS`` is the order in which actions may be carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain

from ragindex_core.object.reasons import RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import projection
from ragindex_core.object.spec import DeletionPolicy
from ragindex_core.reconcile.actions import (
    Action,
    AdoptIndex,
    AllowEmbedding,
    BuildVectorIndex,
    CreateRevision,
    CreateTables,
    DropIndex,
    DropRevision,
    DropTimetable,
    DropVectorIndex,
    Enqueue,
    EnsureWorkers,
    EstimateCost,
    KeepTimetable,
    ListSources,
    MirrorSource,
    Promote,
    RegisterIndex,
    ReleaseHold,
    ReleaseObject,
    ResumeRevision,
    RetainIndex,
    RetireRevision,
    Rollback,
    Serve,
    StartRun,
    StopWorkers,
)
from ragindex_core.reconcile.observed import Observed, Request, Revision, RevisionState, VectorIndexState
from ragindex_core.reconcile.requests import answer_requests, done, refused
from ragindex_core.reconcile.situation import Limits, Situation

_LOOK_FOR_ROOM = timedelta(seconds=5)
_DISTANT_PAST = datetime.min.replace(tzinfo=UTC)


def plan(index: RagIndex, observed: Observed, now: datetime, limits: Limits | None = None) -> tuple[Action, ...]:
    """What to do next; empty when there is nothing to do but to wait."""
    s = Situation(index, observed, now, limits or Limits())
    if index.deleting:
        return tuple(_deletion(s))
    if s.paused and not s.problems:
        return tuple(_scheduled_runs_are_started(s))
    if s.paused or not s.database_ready or observed.database.full:
        return ()
    if observed.index is None:
        return tuple(_registration(s))
    if s.stalled:
        return tuple(_what_is_forbidden_stops(s)) if observed.refusals and not s.problems else ()
    if switch := tuple(_switch(s)):
        return switch  # it changes what every other step looks at
    return tuple(chain.from_iterable(step(s) for step in _STEPS))


def wake_at(index: RagIndex, observed: Observed, now: datetime, limits: Limits | None = None) -> datetime | None:
    """When ``plan`` may have something new to ask for though nothing happened but time."""
    s = Situation(index, observed, now, limits or Limits())
    if index.deleting or s.paused or not s.database_ready or s.stalled:
        return None
    if observed.database.full:
        return now + _LOOK_FOR_ROOM
    times = [_droppable_at(s, revision) for revision in observed.in_state(RevisionState.DROPPING)]
    if observed.crew.rests_until is not None:
        times.append(observed.crew.rests_until)
    if s.run_takable_at is not None:
        times.append(s.run_takable_at)
    if s.rebuild_schedule is not None:
        times.append(s.rebuild_schedule.next_after(now))
    if observed.mirrored:
        times.append(now + s.limits.look_at_mirrored)
    if not index.spec.suspend and not observed.runs.under_way:
        if s.retry_at is not None:
            times.append(s.retry_at)
        if s.limits.keeps_schedules and s.schedule is not None:
            times.append(s.schedule.next_after(now))
    return min((time for time in times if time > now), default=None)


def _deletion(s: Situation) -> Iterator[Action]:
    """``Retain`` never waits for the database; ``Delete`` lets the object go only when its data is gone."""
    if s.observed.crew.timetable is not None:
        yield DropTimetable()
    yield from _workers_stop(s)
    row = s.observed.index
    if s.index.spec.deletion_policy is DeletionPolicy.RETAIN or s.index.annotation("force-release") is not None:
        if s.database_ready and row is not None and not row.retained:
            yield RetainIndex()
        yield ReleaseObject()
    elif s.database_ready:
        yield DropIndex() if row is not None else ReleaseObject()


def _workers_stop(s: Situation) -> Iterator[Action]:
    crew = s.observed.crew
    if crew.workers is not None or (crew.listing and not crew.stands_by):
        yield StopWorkers()


def _registration(s: Situation) -> Iterator[Action]:
    """A new object is known though its spec cannot work: how else would anyone read why? Only what it would take
    over has to wait for a spec that can."""
    generation = s.index.metadata.generation
    if (uid := s.index.annotation(RequestName.ADOPT_FROM.value)) is None:
        yield RegisterIndex(generation, s.inputs)
        return
    if s.stalled:
        return
    yield AdoptIndex(uid, generation, s.inputs)
    yield done(Request(RequestName.ADOPT_FROM, uid))


def _switch(s: Situation) -> Iterator[Action]:
    """At most one change of the active revision."""
    for request in s.asked(RequestName.ROLLBACK):
        for revision in s.observed.in_state(RevisionState.RETAINED):
            if revision.id == request.target and s.active is not None:
                yield Rollback(revision.number, held_key=s.key)
                yield done(request)
                return
    if s.candidate is None:
        return
    asked = [request for request in s.asked(RequestName.PROMOTE) if request.target == s.candidate.id]
    readiness = s.readiness(s.candidate)
    enough = readiness.loaded or (bool(asked) and readiness.settled and s.active is not None)
    if readiness.indexed and enough and (asked or s.promotes_by_itself):
        if s.held:
            yield ReleaseHold()
        yield Promote(s.candidate.number)
        for request in asked:
            yield done(request)


def _the_catalogue_holds_the_object(s: Situation) -> Iterator[Action]:
    row, generation = s.observed.index, s.index.metadata.generation
    if row is not None and (row.generation != generation or row.inputs != s.inputs or row.retained):
        yield RegisterIndex(generation, s.inputs)


def _copies_are_as_their_sources(s: Situation) -> Iterator[Action]:
    if not s.index.spec.suspend:
        for each in s.observed.mirrored:
            if not each.copied:
                yield MirrorSource(each.source)


def _a_hold_ends_with_its_key(s: Situation) -> Iterator[Action]:
    if s.observed.index is not None and s.observed.index.held_key is not None and not s.held:
        yield ReleaseHold()


def _resumable(s: Situation) -> Revision | None:
    """A former revision that has the spec's key: catching up costs less than building anew."""
    if s.held or s.candidate is not None or (s.active is not None and s.active.key == s.key):
        return None
    kept = (revision for revision in s.observed.in_state(RevisionState.RETAINED) if revision.key == s.key)
    return max(kept, key=lambda revision: revision.number, default=None)


def _the_spec_has_a_revision(s: Situation) -> Iterator[Action]:
    if s.held or s.candidate is not None or (s.active is not None and s.active.key == s.key):
        return
    former = _resumable(s)
    yield ResumeRevision(former.number) if former is not None else CreateRevision(s.key, projection(s.index.spec))


def _readers_have_a_revision(s: Situation) -> Iterator[Action]:
    row = s.observed.index
    if row is not None and s.serving is not None and row.serving != s.serving.number:
        yield Serve(s.serving.number)


def _superseded_builds_end(s: Situation) -> Iterator[Action]:
    """A build whose key is no longer wanted, unless it is all that readers have."""
    for revision in s.buildings:
        if revision is not s.candidate and revision is not s.serving:
            yield RetireRevision(revision.number)


def _revisions_have_tables(s: Situation) -> Iterator[Action]:
    for revision in s.fed:
        if not revision.tables_ready:
            yield CreateTables(revision.number)


def _revisions_follow_the_catalogue(s: Situation) -> Iterator[Action]:
    for revision in s.fed:
        if revision.tables_ready and revision.missing > 0:
            yield Enqueue(revision.number)


def _cost_is_known_before_embedding(s: Situation) -> Iterator[Action]:
    if s.active is not None and not s.active.embedding_allowed:
        yield AllowEmbedding(s.active.number)
    revision = s.candidate
    if revision is None or revision.embedding_allowed or not revision.tables_ready:
        return
    if revision.missing > 0 or not s.listed_once:
        return
    if revision.estimated_tokens is None:
        yield EstimateCost(revision.number)
    elif not s.over_budget(revision):
        yield AllowEmbedding(revision.number)


def _queues_are_drained(s: Situation) -> Iterator[Action]:
    waiting = frozenset(
        r.number for r in s.fed if r.embedding_allowed and r.tables_ready and r.documents.unfinished > 0
    )
    workers = s.observed.crew.workers
    if s.index.spec.suspend:
        yield from _workers_stop(s)
        return
    if not waiting:
        # Jobs end by themselves; to take them away could take one that lists.
        stands_by = s.observed.crew.stands_by
        if stands_by and workers is not None and not workers.revisions <= {revision.number for revision in s.fed}:
            yield StopWorkers()
        return
    parallelism = s.index.spec.ingestion.parallelism
    lacking = workers is None or workers.parallelism != parallelism or not waiting <= workers.revisions
    if lacking and s.may_start_pods:
        yield EnsureWorkers(waiting, parallelism)


def _runs_start(s: Situation) -> Iterator[Action]:
    """One run at a time. What asks for another while one is under way joins into the one that follows."""
    if s.index.spec.suspend or s.observed.runs.under_way or not all(each.copied for each in s.observed.mirrored):
        return
    for request in s.asked(RequestName.ACCEPT_SHRINK):
        if request is not s.accepted_shrink:
            yield refused(request, "the latest run is not this one, or nothing it found gone is being held back")
    if s.due is None:
        return
    accepted = s.accepted_shrink
    yield StartRun(s.due, s.inputs, accept_shrink_of=accepted.target if accepted is not None else None)
    for request in (*s.asked(RequestName.SYNC), *((accepted,) if accepted is not None else ())):
        yield done(request)


def _what_is_forbidden_stops(s: Situation) -> Iterator[Action]:
    """What readers have stays; nothing more is taken in by a spec that the owner of the platform does not allow."""
    yield from _scheduled_runs_are_started(s)
    yield from _workers_stop(s)


def _runs_are_carried_out(s: Situation) -> Iterator[Action]:
    last = s.observed.runs.last
    if last is None or not last.under_way or s.index.spec.suspend or s.observed.crew.listing:
        return
    if s.may_start_pods and s.run_takable_at is None:
        yield ListSources(last.id)


def _scheduled_runs_are_started(s: Situation) -> Iterator[Action]:
    if s.limits.keeps_schedules:
        return
    wished, there = s.wished_timetable, s.observed.crew.timetable
    if wished is None and there is not None:
        yield DropTimetable()
    elif wished is not None and wished != there:
        yield KeepTimetable(wished)


def _vector_indexes_are_as_wished(s: Situation) -> Iterator[Action]:
    """The active revision's first; one build at a time; a first fill loads before it builds."""
    graph = s.index.spec.index.graph
    building = any(r.vector_index.state is VectorIndexState.BUILDING for r in s.observed.revisions)
    for revision in s.fed:
        there = revision.vector_index.state
        if there is VectorIndexState.ABANDONED or (there is VectorIndexState.VALID and graph is None):
            yield DropVectorIndex(revision.number)
        elif graph is not None and not building and s.lacks_index(revision) and _may_be_indexed(s, revision):
            yield BuildVectorIndex(revision.number, graph.m, graph.ef_construction)
            building = True
        elif graph is not None and not building and revision is s.active and s.to_be_rebuilt(revision):
            yield BuildVectorIndex(revision.number, graph.m, graph.ef_construction, again=True)
            building = True


def _may_be_indexed(s: Situation, revision: Revision) -> bool:
    if revision is s.active:
        return True
    readiness = s.readiness(revision)
    return s.active is not None and (readiness.loaded or readiness.settled)


def _few_revisions_are_kept(s: Situation) -> Iterator[Action]:
    retained = s.observed.in_state(RevisionState.RETAINED)
    latest_first = sorted(retained, key=lambda r: (r.retired_at or _DISTANT_PAST, r.number), reverse=True)
    for revision in latest_first[s.index.spec.rollout.retain_revisions :]:
        wanted_again = revision is _resumable(s) or (s.held and revision.key == s.key)
        if not wanted_again:
            yield RetireRevision(revision.number)


def _tables_fall_when_no_reader_is_left(s: Situation) -> Iterator[Action]:
    for revision in s.observed.in_state(RevisionState.DROPPING):
        if _droppable_at(s, revision) <= s.now:
            yield DropRevision(revision.number)


def _droppable_at(s: Situation, revision: Revision) -> datetime:
    return (revision.retired_at or _DISTANT_PAST) + s.limits.reader_cache


_STEPS: tuple[Callable[[Situation], Iterator[Action]], ...] = (
    _the_catalogue_holds_the_object,
    _copies_are_as_their_sources,
    _a_hold_ends_with_its_key,
    answer_requests,
    _the_spec_has_a_revision,
    _readers_have_a_revision,
    _superseded_builds_end,
    _revisions_have_tables,
    _revisions_follow_the_catalogue,
    _cost_is_known_before_embedding,
    _scheduled_runs_are_started,
    _runs_start,
    _runs_are_carried_out,
    _queues_are_drained,
    _vector_indexes_are_as_wished,
    _few_revisions_are_kept,
    _tables_fall_when_no_reader_is_left,
)
