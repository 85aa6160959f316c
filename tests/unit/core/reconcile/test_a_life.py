"""The life of an index, told through plans carried out in a simulated world."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from ragindex_core.object.reasons import ConditionType, Outcome, Reason, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import revision_key
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import DatabaseState, RevisionState, VectorIndex, VectorIndexState, Workers
from ragindex_core.reconcile.plan import plan, wake_at
from ragindex_core.reconcile.status import status_of
from ragindex_core.testing.world import World

Make = Callable[..., RagIndex]


def documents(count: int, version: int = 1) -> dict[str, int]:
    return {f"{number:03}.md": version for number in range(count)}


@pytest.fixture
def world() -> World:
    return World(sources={"docs": documents(8)})


def reason(world: World, index: RagIndex, type_: ConditionType) -> str:
    condition = status_of(index, world.observe(), None, world.now, world.limits).condition(type_)
    assert condition is not None
    return f"{condition.status}/{condition.reason}"


def states(world: World) -> dict[int, str]:
    return {revision.number: revision.state.value for revision in world.revisions}


def held(world: World) -> set[str]:
    serving = world.serving()
    return {path for _, path in serving.held} if serving is not None else set()


# Creation and the first fill


def test_a_new_object_is_registered_before_anything_else(world: World, an_index: Make) -> None:
    assert plan(an_index(generation=3), world.observe(), world.now) == (a.RegisterIndex(3),)


def test_a_new_object_fills_itself_and_then_rests(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    assert held(world) == set(documents(8))
    assert states(world) == {1: "Active"}
    assert reason(world, index, ConditionType.READY) == "True/Serving"
    assert reason(world, index, ConditionType.PROGRESSING) == "False/UpToDate"
    assert plan(index, world.observe(), world.now + timedelta(days=30)) == ()


def test_search_works_on_the_first_fill_from_its_first_document(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: bool(held(world)))
    assert len(held(world)) < 8
    assert reason(world, index, ConditionType.READY) == "True/Filling"
    assert reason(world, index, ConditionType.PROGRESSING) == "True/Filling"


def test_the_first_fill_does_not_wait_for_the_schedule(world: World, an_index: Make) -> None:
    world.settle(an_index(ingestion={"schedule": "0 3 1 1 *", "timeZone": "Etc/UTC"}))
    assert len(held(world)) == 8


def test_failed_documents_do_not_keep_the_first_revision_from_becoming_active(world: World, an_index: Make) -> None:
    world.sources["docs"]["bad.pdf"] = 1
    index = an_index()
    world.settle(index)
    assert states(world) == {1: "Active"}
    assert reason(world, index, ConditionType.DEGRADED) == "True/DocumentsFailed"
    assert reason(world, index, ConditionType.PROGRESSING) == "False/UpToDate"


def test_an_empty_source_makes_an_empty_active_index(an_index: Make) -> None:
    world = World(sources={"docs": {}})
    world.settle(an_index())
    assert states(world) == {1: "Active"}


def test_the_first_vector_index_is_built_after_the_fill(world: World, an_index: Make) -> None:
    index = an_index(index={"hnsw": {"m": 8, "efConstruction": 40}})
    world.settle_until(index, lambda: states(world).get(1) == "Active")
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
    assert states(world) == {1: "Active"}
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


# Another model or chunking


def test_another_chunking_builds_beside_the_live_revision_and_takes_over(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})

    def promoted_and_whole_till_then() -> bool:
        serving = world.serving()
        assert serving is not None
        assert len(serving.held) == 8
        assert {key for key, _ in serving.held.values()} == {serving.key}  # never two models in one answer
        assert reason(world, edited, ConditionType.READY) == "True/Serving"
        return states(world) == {1: "Retained", 2: "Active"}

    world.settle_until(edited, promoted_and_whole_till_then)
    assert reason(world, edited, ConditionType.RECONCILING) == "False/InForce"


def test_a_new_revision_takes_over_at_its_share_of_documents_with_its_index_built(an_index: Make) -> None:
    world = World(sources={"docs": documents(100)})
    world.settle(an_index())
    slowly: dict[str, object] = {"ingestion": {"parallelism": 1}, "rollout": {"minDocumentsPercent": 90}}
    edited = an_index(generation=2, chunking={"maxTokens": 200}, **slowly)
    world.settle_until(edited, lambda: states(world).get(2) == "Active")
    assert 90 <= len(world.revisions[1].held) < 100
    assert world.revisions[1].vector_index.state is VectorIndexState.VALID
    world.settle(edited)
    assert len(held(world)) == 100


def test_a_revision_in_which_too_many_documents_fail_waits_for_a_person(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.settle_until(edited, lambda: len(world.revisions) == 2 and bool(world.revisions[1].queued))
    spoiled = world.revisions[1]
    for document in sorted(spoiled.queued)[:3]:
        spoiled.failed[document] = spoiled.queued.pop(document)
    world.settle(edited)
    assert states(world) == {1: "Active", 2: "Building"}
    assert reason(world, edited, ConditionType.PROGRESSING) == "False/TooFewDocuments"
    world.ask(RequestName.PROMOTE, "r2")
    world.settle(edited)
    assert states(world) == {1: "Retained", 2: "Active"}


def test_manual_promotion_waits_for_the_word(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"promotion": "Manual"})
    world.settle(edited)
    assert states(world) == {1: "Active", 2: "Building"}
    assert reason(world, edited, ConditionType.PROGRESSING) == "False/AwaitingPromotion"
    world.settle(
        an_index(
            generation=2,
            chunking={"maxTokens": 200},
            rollout={"promotion": "Manual"},
            annotations={"promote": "r2"},
        )
    )
    assert states(world) == {1: "Retained", 2: "Active"}
    assert [(h.name, h.value, h.outcome) for h in world.handled] == [(RequestName.PROMOTE, "r2", Outcome.DONE)]


def test_manual_promotion_does_not_hold_the_first_revision(world: World, an_index: Make) -> None:
    world.settle(an_index(rollout={"promotion": "Manual"}))
    assert states(world) == {1: "Active"}


def test_promotion_asked_for_early_happens_when_the_revision_is_ready(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"promotion": "Manual"})
    world.reconcile(edited)
    world.ask(RequestName.PROMOTE, "r2")
    world.reconcile(edited)
    assert states(world)[1] == "Active"
    world.settle(edited)
    assert states(world) == {1: "Retained", 2: "Active"}


def test_a_costly_revision_embeds_nothing_before_it_is_approved(world: World, an_index: Make) -> None:
    index = an_index(rollout={"maxEstimatedTokens": 100})
    world.settle(index)
    assert held(world) == set()
    assert reason(world, index, ConditionType.PROGRESSING) == "False/AwaitingApproval"
    world.ask(RequestName.APPROVE, "r1")
    world.settle(index)
    assert len(held(world)) == 8


def test_a_raised_limit_approves_too(world: World, an_index: Make) -> None:
    world.settle(an_index(rollout={"maxEstimatedTokens": 100}))
    world.settle(an_index(generation=2, rollout={"maxEstimatedTokens": 1000}))
    assert len(held(world)) == 8


def test_a_second_edit_drops_the_unpromoted_build(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.reconcile(an_index(generation=2, chunking={"maxTokens": 200}))
    last = an_index(generation=3, chunking={"maxTokens": 100})
    world.reconcile(last)
    world.reconcile(last)
    assert states(world) == {1: "Active", 2: "Dropping", 3: "Building"}
    world.settle_past_caches(last)
    assert states(world) == {1: "Retained", 3: "Active"}


def test_an_edit_back_drops_the_build_and_keeps_the_active_revision(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.reconcile(an_index(generation=2, chunking={"maxTokens": 200}))
    back = an_index(generation=3)
    world.settle_past_caches(back)
    assert states(world) == {1: "Active"}


def test_an_edit_to_a_kept_revisions_key_catches_up_instead_of_building_anew(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.sources["docs"]["new.md"] = 1
    world.ask(RequestName.SYNC, "now")
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    back = an_index(generation=3)
    world.settle_until(back, lambda: bool(world.revisions[0].queued))
    assert {path for _, path in world.revisions[0].queued} == {"new.md"}
    world.settle(back)
    assert states(world) == {1: "Active", 2: "Retained"}
    assert "new.md" in held(world)


def test_an_edit_during_the_first_fill_keeps_what_readers_have(world: World, an_index: Make) -> None:
    first = an_index(ingestion={"parallelism": 1})
    world.settle_until(first, lambda: bool(held(world)))
    edited = an_index(generation=2, chunking={"maxTokens": 200}, ingestion={"parallelism": 1})

    def promoted_and_never_empty_till_then() -> bool:
        assert held(world)
        return states(world).get(2) == "Active"

    world.settle_until(edited, promoted_and_never_empty_till_then)
    world.settle_past_caches(edited)
    assert states(world) == {2: "Active"}  # what never was complete is not kept for rollback


def test_a_first_revision_without_a_passage_makes_way_at_once(world: World, an_index: Make) -> None:
    for _ in range(3):
        world.reconcile(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.reconcile(edited)
    world.reconcile(edited)
    assert world.row is not None
    assert world.row.serving == 2
    assert states(world)[1] == "Dropping"


def test_a_dropped_revision_outlives_the_caches_of_readers(world: World, an_index: Make) -> None:
    world.settle(an_index(rollout={"retainRevisions": 0}))
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"retainRevisions": 0})
    world.settle(edited)
    assert states(world) == {1: "Dropping", 2: "Active"}
    retired_at = world.revisions[0].retired_at
    assert retired_at is not None
    assert wake_at(edited, world.observe(), world.now, world.limits) == retired_at + world.limits.reader_cache
    world.settle_past_caches(edited)
    assert states(world) == {2: "Active"}


# Rollback


def test_rollback_switches_at_once_hides_what_is_gone_and_queues_what_is_new(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.settle(edited)
    del world.sources["docs"]["000.md"]
    world.sources["docs"]["new.md"] = 1
    world.ask(RequestName.SYNC, "now")
    world.settle(edited)
    world.ask(RequestName.ROLLBACK, "r1")
    world.reconcile(edited)
    assert states(world) == {1: "Active", 2: "Retained"}
    assert "000.md" not in held(world)
    world.settle(edited)
    assert "new.md" in held(world)
    assert states(world) == {1: "Active", 2: "Retained"}
    assert reason(world, edited, ConditionType.PROGRESSING) == "False/RolledBack"


def test_a_rollback_holds_until_promote_is_given(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.settle(edited)
    world.ask(RequestName.ROLLBACK, "r1")
    world.settle(edited)
    world.ask(RequestName.PROMOTE, "r2")
    world.settle(edited)
    assert states(world) == {1: "Retained", 2: "Active"}
    assert world.row is not None
    assert world.row.held_key is None


def test_a_rollback_holds_until_the_key_changes(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.settle(edited)
    world.ask(RequestName.ROLLBACK, "r1")
    world.settle(edited)
    other = an_index(generation=3, chunking={"maxTokens": 100})
    world.settle(other)
    serving = world.serving()
    assert serving is not None
    assert serving.key == revision_key(other.spec)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(RequestName.ROLLBACK, "r9", id="rollback to a revision that is not kept"),
        pytest.param(RequestName.PROMOTE, "r9", id="promotion of a revision there is not"),
        pytest.param(RequestName.APPROVE, "r1", id="approval of a revision that is not being built"),
        pytest.param(RequestName.ACCEPT_SHRINK, "run-7", id="consent to a run that found nothing gone"),
        pytest.param(RequestName.ADOPT_FROM, "77aa", id="adoption by an index that has data"),
    ],
)
def test_what_cannot_be_done_is_refused_once(world: World, an_index: Make, name: RequestName, value: str) -> None:
    index = an_index()
    world.settle(index)
    world.ask(name, value)
    world.settle(index)
    assert [(h.name, h.value, h.outcome) for h in world.handled] == [(name, value, Outcome.REFUSED)]
    assert world.handled[0].message


# Runs


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
    assert "x.md" in held(world)
    world.settle(an_index(generation=3))
    assert "x.md" not in held(world)


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
    world.limits = type(world.limits)(keeps_schedules=False)
    index = an_index(ingestion={"schedule": "*/30 * * * *", "timeZone": "Etc/UTC"})
    world.settle(index)
    world.now += timedelta(hours=7)
    assert plan(index, world.observe(), world.now, world.limits) == ()


def test_a_failed_run_is_tried_again_later_and_later(world: World, an_index: Make) -> None:
    world.unreachable_sources = {"docs"}
    index = an_index()
    world.settle(index)
    assert reason(world, index, ConditionType.PROGRESSING) == "True/Filling"
    assert reason(world, index, ConditionType.DEGRADED) == "True/RunFailed"
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
    assert reason(world, index, ConditionType.PROGRESSING) == "False/UpToDate"


def test_one_unreachable_source_does_not_keep_the_others_from_search(world: World, an_index: Make) -> None:
    world.unreachable_sources = {"gone"}
    sources = [{"name": "docs", "directory": {"path": "docs"}}, {"name": "gone", "directory": {"path": "gone"}}]
    index = an_index(sources=sources)
    world.settle(index)
    assert len(held(world)) == 8
    assert reason(world, index, ConditionType.READY) == "True/Filling"


def test_a_source_that_lists_empty_deletes_nothing_until_accepted(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.sources["docs"] = {}
    world.ask(RequestName.SYNC, "now")
    world.settle(index)
    assert len(held(world)) == 8
    assert reason(world, index, ConditionType.DEGRADED) == "True/SourceShrunk"
    assert reason(world, index, ConditionType.PROGRESSING) == "False/SourceShrunk"
    world.ask(RequestName.ACCEPT_SHRINK, world.runs[-1].id)
    world.settle(index)
    assert held(world) == set()
    assert reason(world, index, ConditionType.DEGRADED) == "False/Healthy"


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
    assert len(held(world)) == 8
    assert states(world) == {1: "Active"}


# Suspension, pause, trouble


def test_suspension_stops_ingestion_and_nothing_else(world: World, an_index: Make) -> None:
    world.settle(an_index())
    suspended = an_index(generation=2, suspend=True)
    world.sources["docs"]["new.md"] = 1
    world.ask(RequestName.SYNC, "now")
    world.settle(suspended)
    assert len(world.runs) == 1
    assert world.handled == []  # it waits
    assert reason(world, suspended, ConditionType.READY) == "True/Serving"
    assert reason(world, suspended, ConditionType.SUSPENDED) == "True/SuspendedBySpec"
    world.settle(an_index(generation=3))
    assert "new.md" in held(world)


def test_suspension_stops_workers(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: world.workers is not None)
    assert a.StopWorkers() in world.reconcile(an_index(generation=2, suspend=True, ingestion={"parallelism": 1}))


def test_other_parallelism_reaches_the_workers_that_are_there(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: world.workers is not None)
    more = world.reconcile(an_index(generation=2, ingestion={"parallelism": 3}))
    assert a.EnsureWorkers(frozenset({1}), 3) in more


def test_a_paused_object_is_left_alone(world: World, an_index: Make) -> None:
    world.settle(an_index())
    paused = an_index(generation=2, chunking={"maxTokens": 200}, annotations={"paused": "true"})
    assert world.reconcile(paused) == ()
    assert reason(world, paused, ConditionType.PAUSED) == "True/PausedByAnnotation"


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(
            {"embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 512}}, id="dimensions"
        ),
        pytest.param({"ingestion": {"schedule": "0 25 * * *", "timeZone": "Etc/UTC"}}, id="cron"),
        pytest.param({"databaseRef": {"name": "other"}}, id="another database"),
    ],
)
def test_a_spec_that_cannot_work_changes_nothing_and_keeps_serving(
    world: World, an_index: Make, spec: dict[str, object]
) -> None:
    world.settle(an_index())
    broken = an_index(generation=2, **spec)
    assert world.reconcile(broken) == ()
    assert reason(world, broken, ConditionType.READY) == "True/Serving"
    assert reason(world, broken, ConditionType.STALLED) == "True/InvalidSpec"
    assert reason(world, broken, ConditionType.PROGRESSING) == "False/InvalidSpec"


def test_with_the_database_out_of_reach_nothing_is_planned(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.database = DatabaseState(reachable=False, message="connection refused")
    assert world.reconcile(an_index(generation=2, chunking={"maxTokens": 200})) == ()
    assert reason(world, index, ConditionType.READY) == "False/DatabaseUnreachable"


def test_a_database_that_takes_no_writes_still_answers(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.database = DatabaseState(writable=False)
    assert world.reconcile(an_index(generation=2, chunking={"maxTokens": 200})) == ()
    assert reason(world, index, ConditionType.READY) == "True/Serving"
    assert reason(world, index, ConditionType.DATABASE_REACHABLE) == "False/ReadOnlyDatabase"


# The end


def test_retain_keeps_the_data_and_lets_the_object_go(world: World, an_index: Make) -> None:
    world.settle(an_index())
    assert world.reconcile(an_index(deleted=True)) == (a.RetainIndex(), a.ReleaseObject())


def test_retain_never_waits_for_the_database(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.database = DatabaseState(reachable=False)
    assert world.reconcile(an_index(deleted=True)) == (a.ReleaseObject(),)


def test_delete_lets_the_object_go_only_when_its_data_is_gone(world: World, an_index: Make) -> None:
    world.settle(an_index(deletionPolicy="Delete"))
    going = an_index(deletionPolicy="Delete", deleted=True)
    world.database = DatabaseState(reachable=False)
    assert world.reconcile(going) == ()
    assert reason(world, going, ConditionType.PROGRESSING) == "False/DeletionBlocked"
    world.database = DatabaseState()
    assert world.reconcile(going) == (a.DropIndex(),)
    assert world.reconcile(going) == (a.ReleaseObject(),)


def test_force_release_gives_up_on_the_data(world: World, an_index: Make) -> None:
    world.settle(an_index(deletionPolicy="Delete"))
    world.database = DatabaseState(reachable=False)
    forced = an_index(deletionPolicy="Delete", deleted=True, annotations={"force-release": "yes"})
    assert world.reconcile(forced) == (a.ReleaseObject(),)


def test_adoption_takes_a_retained_index_instead_of_beginning_anew(world: World, an_index: Make) -> None:
    world.adoptable = frozenset({"77aa"})
    index = an_index(annotations={"adopt-from": "77aa"})
    assert world.reconcile(index)[0] == a.AdoptIndex("77aa", 1)
    assert world.handled[0].outcome is Outcome.DONE


def test_adoption_of_what_is_not_there_builds_nothing(world: World, an_index: Make) -> None:
    index = an_index(annotations={"adopt-from": "77aa"})
    assert world.reconcile(index) == ()
    assert reason(world, index, ConditionType.STALLED) == f"True/{Reason.ADOPTION_REFUSED}"


def test_an_object_that_came_back_is_no_longer_retained(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.apply(a.RetainIndex(), index)
    assert world.reconcile(index) == (a.RegisterIndex(1),)
    assert world.revisions[0].state is RevisionState.ACTIVE


# What is easily forgotten


def test_what_a_rollback_left_is_kept_for_promote_even_when_nothing_else_is(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.ask(RequestName.ROLLBACK, "r1")
    none_kept = an_index(generation=3, chunking={"maxTokens": 200}, rollout={"retainRevisions": 0})
    world.settle_past_caches(none_kept)
    assert states(world) == {1: "Active", 2: "Retained"}


def test_a_former_revision_is_resumed_even_when_none_would_be_kept(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.settle_past_caches(an_index(generation=3, rollout={"retainRevisions": 0}))
    assert states(world) == {1: "Active"}


def test_documents_not_queued_yet_keep_the_first_revision_from_becoming_active(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle_until(index, lambda: bool(world.revisions) and world.revisions[0].allowed)
    world.revisions[0].queued.clear()  # as if another process had listed documents and died before queueing them
    actions = plan(index, world.observe(), world.now, world.limits)
    assert a.Enqueue(1) in actions
    assert a.Promote(1) not in actions


def test_workers_are_told_of_a_revision_that_joins(world: World, an_index: Make) -> None:
    slowly: dict[str, object] = {"ingestion": {"parallelism": 1}}
    world.settle(an_index(**slowly))
    world.ask(RequestName.REBUILD, "1")
    edited = an_index(generation=2, chunking={"maxTokens": 200}, **slowly)
    world.settle_until(edited, lambda: world.workers is not None)
    assert world.workers == Workers(frozenset({1}), 1)
    world.settle_until(edited, lambda: world.workers == Workers(frozenset({1, 2}), 1))


def test_a_rollback_to_what_the_spec_wants_holds_nothing_back(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.ask(RequestName.ROLLBACK, "r1")
    back = an_index(generation=3)
    world.settle(back)
    assert states(world) == {1: "Active", 2: "Retained"}
    assert reason(world, back, ConditionType.PROGRESSING) == "False/UpToDate"


def test_one_vector_index_is_built_at_a_time_and_the_live_one_first(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"minDocumentsPercent": 50})
    world.settle_until(edited, lambda: len(world.revisions) == 2 and world.revisions[1].chunks >= 40)
    world.revisions[0].vector_index = VectorIndex()
    builds = [action for action in world.reconcile(edited) if isinstance(action, a.BuildVectorIndex)]
    assert builds == [a.BuildVectorIndex(1, 16, 128)]
    world.work()
    assert a.BuildVectorIndex(2, 16, 128) in world.reconcile(edited)
