"""How an index fills itself, and when it looks at its sources again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from ragindex_core.object.reasons import ConditionType, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import inputs_key
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import Timetable, VectorIndexState, Workers
from ragindex_core.reconcile.plan import plan, wake_at
from ragindex_core.testing.world import World

Make = Callable[..., RagIndex]


def documents(count: int, version: int = 1) -> dict[str, int]:
    return {f"{number:03}.md": version for number in range(count)}


@pytest.fixture
def world() -> World:
    return World(sources={"docs": documents(8)})


def test_a_new_object_is_registered_before_anything_else(world: World, an_index: Make) -> None:
    index = an_index(generation=3)
    assert plan(index, world.observe(), world.now) == (a.RegisterIndex(3, inputs_key(index.spec)),)


def test_a_new_object_fills_itself_and_then_rests(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    assert world.searchable() == set(documents(8))
    assert world.states() == {1: "Active"}
    assert world.says(index, ConditionType.READY) == "True/Serving"
    assert world.says(index, ConditionType.PROGRESSING) == "False/UpToDate"
    assert plan(index, world.observe(), world.now + timedelta(days=30)) == ()


def test_search_works_on_the_first_fill_from_its_first_document(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: bool(world.searchable()))
    assert len(world.searchable()) < 8
    assert world.says(index, ConditionType.READY) == "True/Filling"
    assert world.says(index, ConditionType.PROGRESSING) == "True/Filling"


def test_the_first_fill_does_not_wait_for_the_schedule(world: World, an_index: Make) -> None:
    world.settle(an_index(ingestion={"schedule": "0 3 1 1 *", "timeZone": "Etc/UTC"}))
    assert len(world.searchable()) == 8


def test_failed_documents_do_not_keep_the_first_revision_from_becoming_active(world: World, an_index: Make) -> None:
    world.sources["docs"]["bad.pdf"] = 1
    index = an_index()
    world.settle(index)
    assert world.states() == {1: "Active"}
    assert world.says(index, ConditionType.DEGRADED) == "True/DocumentsFailed"
    assert world.says(index, ConditionType.PROGRESSING) == "False/UpToDate"


def test_an_empty_source_makes_an_empty_active_index(an_index: Make) -> None:
    world = World(sources={"docs": {}})
    world.settle(an_index())
    assert world.states() == {1: "Active"}


def test_the_first_vector_index_is_built_after_the_fill(world: World, an_index: Make) -> None:
    index = an_index(index={"hnsw": {"m": 8, "efConstruction": 40}})
    world.settle_until(index, lambda: world.states().get(1) == "Active")
    assert world.revisions[0].vector_index.state is VectorIndexState.ABSENT
    world.settle(index)
    there = world.revisions[0].vector_index
    assert (there.state, there.m, there.ef_construction) == (VectorIndexState.VALID, 8, 40)


def test_few_passages_need_no_vector_index(an_index: Make) -> None:
    world = World(sources={"docs": documents(2)})
    world.settle(an_index())
    assert world.revisions[0].vector_index.state is VectorIndexState.ABSENT


def test_other_graph_parameters_rebuild_the_index_and_embed_nothing(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, index={"hnsw": {"m": 32}}))
    assert world.states() == {1: "Active"}
    assert world.revisions[0].vector_index.m == 32
    world.settle(an_index(generation=3, index={"type": "None"}))
    assert world.revisions[0].vector_index.state is VectorIndexState.ABSENT


def test_an_abandoned_build_is_dropped_and_begun_again(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    there = world.revisions[0]
    there.vector_index = type(there.vector_index)(VectorIndexState.ABANDONED, 16, 128)
    assert world.reconcile(index) == (a.DropVectorIndex(1),)
    assert world.reconcile(index) == (a.BuildVectorIndex(1, 16, 128),)
    assert world.reconcile(index) == ()  # a live build is never touched


def test_documents_not_queued_yet_keep_the_first_revision_from_becoming_active(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle_until(index, lambda: bool(world.revisions) and world.revisions[0].allowed)
    world.revisions[0].queued.clear()  # as if another process had listed documents and died before queueing them
    actions = plan(index, world.observe(), world.now, world.limits)
    assert a.Enqueue(1) in actions
    assert a.Promote(1) not in actions


def test_triggers_during_a_run_join_into_one_that_follows(world: World, an_index: Make) -> None:
    index = an_index()
    world.reconcile(index)
    world.reconcile(index)
    assert len(world.runs) == 1
    for number in range(5):
        world.ask(RequestName.SYNC, f"value {number}")
        world.reconcile(index)
    assert len(world.runs) == 1
    world.settle(index)
    assert len(world.runs) == 2
    assert len(world.handled) == 5


def test_a_sync_annotation_acts_once_a_value(world: World, an_index: Make) -> None:
    world.settle(an_index())
    for asked, runs in (({"sync": "a"}, 2), ({"sync": "a"}, 2), ({"sync": "b"}, 3), ({}, 3)):
        world.settle(an_index(annotations=asked))
        assert len(world.runs) == runs


def test_a_change_of_sources_starts_a_run(world: World, an_index: Make) -> None:
    world.sources["more"] = {"x.md": 1}
    world.settle(an_index())
    more = [{"name": "docs", "directory": {"path": "docs"}}, {"name": "more", "directory": {"path": "more"}}]
    world.settle(an_index(generation=2, sources=more))
    assert "x.md" in world.searchable()
    world.settle(an_index(generation=3))
    assert "x.md" not in world.searchable()


def test_an_edit_that_concerns_neither_starts_none(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, retrieval={"topK": 3}, ingestion={"parallelism": 2}))
    assert len(world.runs) == 1
    assert world.recorded is not None
    assert world.recorded.retrieval.top_k == 3


def test_missed_firings_of_the_schedule_are_made_up_for_by_one_run(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"schedule": "*/30 * * * *", "timeZone": "Etc/UTC"})
    world.settle(index)
    world.now += timedelta(hours=7)
    world.settle(index)
    assert len(world.runs) == 2


def test_where_cron_jobs_keep_the_schedule_the_plan_does_not(world: World, an_index: Make) -> None:
    world.in_cluster()
    index = an_index(ingestion={"schedule": "*/30 * * * *", "timeZone": "Etc/UTC"})
    world.settle(index)
    assert world.crew.timetable == Timetable("*/30 * * * *", "Etc/UTC")
    world.now += timedelta(hours=7)
    assert plan(index, world.observe(), world.now, world.limits) == ()


def test_a_failed_run_is_tried_again_later_and_later(world: World, an_index: Make) -> None:
    world.unreachable_sources = {"docs"}
    index = an_index()
    world.settle(index)
    assert world.says(index, ConditionType.PROGRESSING) == "True/Filling"
    assert world.says(index, ConditionType.DEGRADED) == "True/RunFailed"
    waits = []
    for _ in range(8):
        wake = wake_at(index, world.observe(), world.now, world.limits)
        assert wake is not None
        ended = world.runs[-1].completed_at
        assert ended is not None
        waits.append((wake - ended).total_seconds())
        world.now = wake
        world.settle(index)
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800]
    world.unreachable_sources = set()
    world.ask(RequestName.SYNC, "it is back")
    world.settle(index)
    assert world.says(index, ConditionType.PROGRESSING) == "False/UpToDate"


def test_one_unreachable_source_does_not_keep_the_others_from_search(world: World, an_index: Make) -> None:
    world.unreachable_sources = {"gone"}
    sources = [{"name": "docs", "directory": {"path": "docs"}}, {"name": "gone", "directory": {"path": "gone"}}]
    index = an_index(sources=sources)
    world.settle(index)
    assert len(world.searchable()) == 8
    assert world.says(index, ConditionType.READY) == "True/Filling"


def test_a_source_that_lists_empty_deletes_nothing_until_accepted(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.sources["docs"] = {}
    world.ask(RequestName.SYNC, "now")
    world.settle(index)
    assert len(world.searchable()) == 8
    assert world.says(index, ConditionType.DEGRADED) == "True/SourceShrunk"
    assert world.says(index, ConditionType.PROGRESSING) == "False/SourceShrunk"
    world.ask(RequestName.ACCEPT_SHRINK, world.runs[-1].id)
    world.settle(index)
    assert world.searchable() == set()
    assert world.says(index, ConditionType.DEGRADED) == "False/Healthy"


def test_retry_failed_queues_the_failed_and_no_others(world: World, an_index: Make) -> None:
    world.sources["docs"]["bad.pdf"] = 1
    index = an_index()
    world.settle(index)
    world.ask(RequestName.RETRY_FAILED, "1")
    assert a.RetryFailed(frozenset({1})) in world.reconcile(index)
    assert {path for _, path in world.revisions[0].queued} == {"bad.pdf"}


def test_rebuild_parses_everything_again_while_it_stays_searchable(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.ask(RequestName.REBUILD, "1")
    world.reconcile(index)
    assert len(world.revisions[0].queued) == 8
    assert len(world.searchable()) == 8
    assert world.states() == {1: "Active"}


def test_workers_are_told_of_a_revision_that_joins(world: World, an_index: Make) -> None:
    slowly: dict[str, object] = {"ingestion": {"parallelism": 1}}
    world.settle(an_index(**slowly))
    world.ask(RequestName.REBUILD, "1")
    edited = an_index(generation=2, chunking={"maxTokens": 200}, **slowly)
    world.settle_until(edited, lambda: world.crew.workers is not None)
    assert world.crew.workers == Workers(frozenset({1}), 1)
    world.settle_until(edited, lambda: world.crew.workers == Workers(frozenset({1, 2}), 1))
