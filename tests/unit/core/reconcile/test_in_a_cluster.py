"""Where nobody stands by: Jobs carry out runs and embed, a CronJob keeps the schedule, ConfigMaps are copied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ragindex_core.errors import FieldProblem
from ragindex_core.object.reasons import ConditionType, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import DatabaseState, MirroredSource, Timetable, VectorIndexState, Workers
from ragindex_core.reconcile.plan import plan, wake_at
from ragindex_core.testing.world import World

Make = Callable[..., RagIndex]
SCHEDULED = {"schedule": "*/30 * * * *", "timeZone": "Etc/UTC"}


@pytest.fixture
def world() -> World:
    return World(sources={"docs": {"a.md": 1, "b.md": 1, "c.md": 1}})


@pytest.fixture
def cluster(world: World) -> World:
    world.in_cluster()
    return world


def test_a_run_that_waits_is_given_to_somebody(cluster: World, an_index: Make) -> None:
    index = an_index()
    cluster.settle_until(index, lambda: bool(cluster.runs))
    assert cluster.reconcile(index)[-1] == a.ListSources(cluster.runs[-1].id)
    assert cluster.crew.listing
    assert not any(isinstance(action, a.ListSources) for action in cluster.reconcile(index))


def test_a_run_that_was_left_is_given_to_another(cluster: World, an_index: Make) -> None:
    index = an_index()
    cluster.settle_until(index, lambda: cluster.crew.listing)
    cluster.crew = replace(cluster.crew, listing=False)  # its Job ended, and the run did not
    assert a.ListSources(cluster.runs[-1].id) in cluster.reconcile(index)


def test_the_first_fill_does_not_wait_for_the_schedule(cluster: World, an_index: Make) -> None:
    index = an_index(ingestion=SCHEDULED)
    cluster.settle(index)
    assert cluster.says(index, ConditionType.PROGRESSING) == "False/UpToDate"
    assert cluster.crew.timetable == Timetable("*/30 * * * *", "Etc/UTC")


def test_suspending_stops_whoever_works_and_the_timetable(cluster: World, an_index: Make) -> None:
    cluster.settle_until(an_index(ingestion=SCHEDULED), lambda: cluster.crew.listing)
    suspended = an_index(generation=2, ingestion=SCHEDULED, suspend=True)
    actions = cluster.reconcile(suspended)
    assert a.StopWorkers() in actions
    assert a.KeepTimetable(Timetable("*/30 * * * *", "Etc/UTC", suspended=True)) in actions
    assert not cluster.crew.listing


def test_pausing_stops_the_timetable_and_nothing_else(cluster: World, an_index: Make) -> None:
    cluster.settle(an_index(ingestion=SCHEDULED))
    paused = an_index(ingestion=SCHEDULED, annotations={"paused": "true"})
    resting = Timetable("*/30 * * * *", "Etc/UTC", suspended=True)
    assert cluster.reconcile(paused) == (a.KeepTimetable(resting),)
    assert cluster.reconcile(paused) == ()


def test_a_schedule_that_is_taken_away_starts_no_more_runs(cluster: World, an_index: Make) -> None:
    cluster.settle(an_index(ingestion=SCHEDULED))
    cluster.settle(an_index(generation=2))
    assert cluster.crew.timetable is None


def test_a_timetable_of_other_settings_is_renewed(cluster: World, an_index: Make) -> None:
    index = an_index(ingestion=SCHEDULED)
    cluster.settle(index)
    assert cluster.crew.timetable is not None
    cluster.crew = replace(cluster.crew, timetable=replace(cluster.crew.timetable, outdated=True))
    assert cluster.reconcile(index) == (a.KeepTimetable(Timetable("*/30 * * * *", "Etc/UTC")),)


def test_deletion_stops_all_that_works_even_without_the_database(cluster: World, an_index: Make) -> None:
    cluster.settle_until(an_index(ingestion=SCHEDULED), lambda: cluster.crew.listing)
    cluster.database = DatabaseState(reachable=False, writable=False)
    deleted = an_index(ingestion=SCHEDULED, deleted=True)
    assert cluster.reconcile(deleted) == (a.DropTimetable(), a.StopWorkers(), a.ReleaseObject())


def test_who_drained_a_revision_that_is_gone_ends_by_itself_and_no_listing_with_it(
    cluster: World, an_index: Make
) -> None:
    index = an_index()
    cluster.settle(index)
    gone = cluster.revisions[-1].number + 1
    cluster.crew = replace(cluster.crew, workers=Workers(frozenset({gone}), 1), listing=True)
    assert cluster.reconcile(index) == ()
    cluster.crew = replace(cluster.crew, stands_by=True)  # one that does not end has to be told
    assert cluster.reconcile(index) == (a.StopWorkers(),)


def test_work_that_waits_for_pods_is_not_asked_for_again(cluster: World, an_index: Make) -> None:
    index = an_index()
    cluster.crew = replace(cluster.crew, queued=True)
    cluster.settle(index)
    assert cluster.runs
    assert not cluster.crew.listing
    assert cluster.says(index, ConditionType.PROGRESSING) == "True/Filling"


def test_work_that_waits_for_pods_beside_a_live_revision_says_so(cluster: World, an_index: Make) -> None:
    index = an_index()
    cluster.settle(index)
    cluster.sources["docs"]["new.md"] = 1
    cluster.ask(RequestName.SYNC, "now")
    cluster.crew = replace(cluster.crew, queued=True)
    cluster.reconcile(index)
    assert cluster.says(index, ConditionType.PROGRESSING) == "True/Queued"


def test_after_a_failed_job_the_next_waits_and_the_status_tells_why(cluster: World, an_index: Make) -> None:
    index = an_index()
    rests_until = cluster.now + timedelta(minutes=5)
    cluster.crew = replace(cluster.crew, trouble="a pod ended with exit code 42", rests_until=rests_until)
    cluster.settle(index)
    assert not cluster.crew.listing
    assert wake_at(index, cluster.observe(), cluster.now, cluster.limits) == rests_until
    assert cluster.says(index, ConditionType.DEGRADED) == "True/JobFailed"
    cluster.now = rests_until
    assert a.ListSources(cluster.runs[-1].id) in cluster.reconcile(index)


def test_a_config_map_is_copied_before_the_first_run(cluster: World, an_index: Make) -> None:
    cluster.mirrored["docs"] = MirroredSource("docs", there="v1", copied=False)
    index = an_index()
    cluster.settle_until(index, lambda: bool(cluster.runs))
    assert cluster.mirrored["docs"].version == "v1"


def test_an_edited_config_map_is_copied_and_starts_a_run(cluster: World, an_index: Make) -> None:
    cluster.mirrored["docs"] = MirroredSource("docs", there="v1", copied=False)
    index = an_index()
    cluster.settle(index)
    before = len(cluster.runs)
    cluster.mirrored["docs"] = MirroredSource("docs", there="v2", copied=False, version="v1")
    cluster.settle(index)
    assert cluster.mirrored["docs"].version == "v2"
    assert len(cluster.runs) == before + 1


def test_config_maps_are_looked_at_again_by_themselves(cluster: World, an_index: Make) -> None:
    cluster.mirrored["docs"] = MirroredSource("docs", there="v1", copied=False)
    index = an_index()
    cluster.settle(index)
    assert plan(index, cluster.observe(), cluster.now, cluster.limits) == ()
    wake = wake_at(index, cluster.observe(), cluster.now, cluster.limits)
    assert wake == cluster.now + cluster.limits.look_at_mirrored


def test_on_a_laptop_somebody_stands_by_and_nothing_is_started(world: World, an_index: Make) -> None:
    world.settle(an_index(ingestion=SCHEDULED))
    assert world.crew.timetable is None
    assert world.crew.stands_by


def test_a_run_whose_worker_died_is_given_away_when_its_lease_is_over(cluster: World, an_index: Make) -> None:
    index = an_index()
    cluster.settle_until(index, lambda: cluster.crew.listing)
    run = cluster.runs[-1].id
    cluster.crew = replace(cluster.crew, listing=False, left={run: cluster.now})
    assert not any(isinstance(action, a.ListSources) for action in cluster.reconcile(index))
    wake = wake_at(index, cluster.observe(), cluster.now, cluster.limits)
    assert wake == cluster.now + cluster.limits.leases_last
    cluster.now = wake
    assert a.ListSources(run) in cluster.reconcile(index)


def test_a_bloated_index_is_rebuilt_in_its_hour(world: World, an_index: Make) -> None:
    world.limits = replace(world.limits, index_from_chunks=10)
    index = an_index(index={"type": "HNSW", "rebuildSchedule": "0 3 * * *"})
    world.settle(index)
    revision = world.revisions[0]
    assert revision.vector_index.state is VectorIndexState.VALID
    revision.vector_index = replace(revision.vector_index, bloat=2.0)
    world.now = world.now.replace(hour=2, minute=59) + timedelta(days=1)
    assert plan(index, world.observe(), world.now, world.limits) == ()
    wake = wake_at(index, world.observe(), world.now, world.limits)
    assert wake is not None
    assert (wake.hour, wake.minute) == (3, 0)
    assert plan(index, world.observe(), wake, world.limits) == (a.BuildVectorIndex(1, 16, 128, again=True),)
    assert plan(index, world.observe(), wake + timedelta(hours=1), world.limits) == ()


def test_an_index_that_is_not_bloated_is_left_alone(world: World, an_index: Make) -> None:
    world.limits = replace(world.limits, index_from_chunks=10)
    index = an_index(index={"type": "HNSW", "rebuildSchedule": "0 3 * * *"})
    world.settle(index)
    world.revisions[0].vector_index = replace(world.revisions[0].vector_index, bloat=1.2)
    at_three = world.now.replace(hour=3, minute=0) + timedelta(days=1)
    assert plan(index, world.observe(), at_three, world.limits) == ()


def test_what_was_forbidden_later_takes_in_nothing_more(cluster: World, an_index: Make) -> None:
    index = an_index(ingestion=SCHEDULED)
    cluster.settle_until(index, lambda: cluster.crew.listing)
    refused = replace(cluster.observe(), refusals=(FieldProblem("spec.sources[0]", "not allowed any more"),))
    resting = Timetable("*/30 * * * *", "Etc/UTC", suspended=True)
    assert plan(index, refused, cluster.now, cluster.limits) == (a.KeepTimetable(resting), a.StopWorkers())
