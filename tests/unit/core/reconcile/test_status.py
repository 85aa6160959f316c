"""What is told of an object, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ragindex_core.errors import FieldProblem
from ragindex_core.object.reasons import ConditionType, Reason, RequestName
from ragindex_core.object.resource import RagIndex, knowledge_base_id
from ragindex_core.object.status import MOST_MESSAGE_CHARACTERS, RagIndexStatus
from ragindex_core.reconcile.observed import DatabaseState, Observed, Run, Runs, RunState
from ragindex_core.reconcile.status import COUNTS_EVERY, status_of, status_of_unreadable, worth_writing
from ragindex_core.testing.world import START, World

Make = Callable[..., RagIndex]


@pytest.fixture
def world() -> World:
    return World(sources={"docs": {f"{number}.md": 1 for number in range(8)}})


def told(world: World, index: RagIndex, previous: RagIndexStatus | None = None) -> RagIndexStatus:
    return status_of(index, world.observe(), previous, world.now, world.limits)


def test_every_type_of_condition_is_told_from_the_first_look_on(an_index: Make) -> None:
    status = status_of(an_index(generation=4), Observed(), None, START)
    assert {condition.type for condition in status.conditions} == set(ConditionType)
    assert {condition.observed_generation for condition in status.conditions} == {4}
    assert status.observed_generation == 4
    assert all(condition.message for condition in status.conditions)


def test_a_condition_keeps_its_date_while_its_status_stands(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: bool(world.serving() and world.serving().held))  # type: ignore[union-attr]
    filling = told(world, index)
    world.settle(index)
    serving = told(world, index, filling)
    ready = serving.condition(ConditionType.READY)
    assert ready is not None
    assert ready.reason is Reason.SERVING
    assert ready.last_transition_time == START  # Filling and Serving are both True
    progressing = serving.condition(ConditionType.PROGRESSING)
    assert progressing is not None
    assert progressing.last_transition_time == world.now.replace(microsecond=0)


def test_the_same_world_gives_the_same_status(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"schedule": "0 3 * * *", "timeZone": "Europe/Berlin"})
    world.settle(index)
    first = told(world, index)
    world.now += timedelta(hours=3)
    assert told(world, index, first) == first


def test_the_status_names_revisions_documents_runs_and_answers(world: World, an_index: Make) -> None:
    world.sources["docs"]["bad.pdf"] = 1
    world.settle(an_index())
    edited = an_index(
        generation=2, chunking={"maxTokens": 200}, rollout={"promotion": "Manual", "minDocumentsPercent": 80}
    )
    world.ask(RequestName.RETRY_FAILED, "monday")
    world.settle(edited)
    wire = told(world, edited).to_wire()
    assert wire["activeRevision"]["id"] == "r1"
    assert wire["activeRevision"]["model"] == "all-minilm-l6-v2"
    assert wire["activeRevision"]["documents"] == 8
    assert wire["pendingRevision"]["id"] == "r2"
    assert wire["pendingRevision"]["documentsTotal"] == 9
    assert wire["pendingRevision"]["estimatedTokens"] == 900
    assert wire["documents"] == {"total": 9, "indexed": 8, "pending": 0, "failed": 1}
    assert wire["ingestion"]["lastRun"] == "run-2"
    assert wire["database"]["indexState"] == "Valid"
    assert wire["handled"]["retry-failed"]["value"] == "monday"
    assert wire["handled"]["retry-failed"]["outcome"] == "Done"
    assert wire["knowledgeBaseId"] == knowledge_base_id("5b0e")
    assert RagIndexStatus.model_validate(wire).to_wire() == wire


def test_what_was_known_stands_while_the_database_is_out_of_reach(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    before = told(world, index)
    world.database = DatabaseState(reachable=False, message="no route")
    during = told(world, index, before)
    assert during.active_revision == before.active_revision
    assert during.documents == before.documents
    reachable = during.condition(ConditionType.DATABASE_REACHABLE)
    assert reachable is not None
    assert (reachable.status, reachable.message) == ("False", "no route")


def test_throttling_is_told_of_the_models_in_use_and_ends_by_itself(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    until = world.now + timedelta(minutes=1)
    observed = replace(world.observe(), throttled_until={"all-minilm-l6-v2": until, "another": until})

    def throttled(now: object) -> str:
        condition = status_of(index, observed, None, now, world.limits).condition(ConditionType.THROTTLED)  # type: ignore[arg-type]
        assert condition is not None
        return f"{condition.status}/{condition.reason}"

    assert throttled(world.now) == "True/ProviderThrottled"
    assert throttled(until) == "False/NotThrottled"


def test_what_the_platform_owner_forbids_is_not_allowed(world: World, an_index: Make) -> None:
    index = an_index()
    refusal = FieldProblem("spec.sources[0].s3.bucket", "team hr may not read this bucket")
    stalled = status_of(index, Observed(refusals=(refusal,)), None, START).condition(ConditionType.STALLED)
    assert stalled is not None
    assert (stalled.status, stalled.reason) == ("True", Reason.NOT_ALLOWED)
    assert stalled.message == str(refusal)


def test_long_messages_are_cut(an_index: Make) -> None:
    refusals = tuple(FieldProblem(f"spec.sources[{n}]", "x" * 200) for n in range(32))
    stalled = status_of(an_index(), Observed(refusals=refusals), None, START).condition(ConditionType.STALLED)
    assert stalled is not None
    assert len(stalled.message) == MOST_MESSAGE_CHARACTERS


def test_an_object_that_cannot_be_read_is_stalled_and_loses_nothing(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    before = told(world, index)
    after = status_of_unreadable(9, [FieldProblem("spec.sources", "is required")], before, world.now)
    assert after.active_revision == before.active_revision
    assert after.condition(ConditionType.READY) == before.condition(ConditionType.READY)
    stalled = after.condition(ConditionType.STALLED)
    assert stalled is not None
    assert (stalled.status, stalled.message) == ("True", "spec.sources: is required")
    assert len(after.conditions) == len(ConditionType)


def test_a_new_object_that_cannot_be_read_is_not_ready() -> None:
    status = status_of_unreadable(1, [FieldProblem("spec", "is required")], None, START)
    ready = status.condition(ConditionType.READY)
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", Reason.INVALID_SPEC)


def stages(world: World, index: RagIndex, type_: ConditionType) -> list[str]:
    """What one condition says from look to look until the world rests, repetitions left out."""
    said: list[str] = []
    for _ in range(200):
        condition = told(world, index).condition(type_)
        assert condition is not None
        text = f"{condition.status}/{condition.reason}"
        if not said or said[-1] != text:
            said.append(text)
        if not (bool(world.reconcile(index)) | world.work()):
            break
    return said


def test_the_stages_of_a_first_fill(world: World, an_index: Make) -> None:
    assert stages(world, an_index(), ConditionType.PROGRESSING) == [
        "True/Preparing",
        "True/Filling",
        "True/IndexBuilding",
        "False/UpToDate",
    ]


def test_the_stages_of_a_run_on_request(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle(index)
    world.sources["docs"] |= {"new.md": 1, "newer.md": 1}
    world.ask(RequestName.SYNC, "now")
    said = [told(world, index).condition(ConditionType.PROGRESSING)]
    world.reconcile(index)
    said.append(told(world, index).condition(ConditionType.PROGRESSING))
    world.work()
    said.append(told(world, index).condition(ConditionType.PROGRESSING))
    world.settle(index)
    said.append(told(world, index).condition(ConditionType.PROGRESSING))
    assert [condition.reason for condition in said if condition] == ["RunDue", "Syncing", "Embedding", "UpToDate"]


def test_the_stages_of_another_chunking(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    assert stages(world, edited, ConditionType.PROGRESSING) == [
        "True/RunDue",
        "True/RevisionBuilding",
        "True/IndexBuilding",
        "False/UpToDate",
    ]


def test_reconciling_is_true_until_the_spec_is_in_force_and_for_no_routine(world: World, an_index: Make) -> None:
    index = an_index()
    said = stages(world, index, ConditionType.RECONCILING)
    assert (said[0], said[-2:]) == ("True/Preparing", ["True/Filling", "False/InForce"])
    world.ask(RequestName.SYNC, "now")
    assert stages(world, index, ConditionType.RECONCILING) == ["False/InForce"]


def test_a_paused_or_waiting_object_is_not_reconciling(world: World, an_index: Make) -> None:
    world.settle(an_index())
    paused = an_index(generation=2, chunking={"maxTokens": 200}, annotations={"paused": "true"})
    assert stages(world, paused, ConditionType.RECONCILING) == ["False/InForce"]
    world.database = DatabaseState(reachable=False)
    assert stages(world, paused, ConditionType.RECONCILING) == ["False/InForce"]
    unpaused = an_index(generation=2, chunking={"maxTokens": 200})
    assert stages(world, unpaused, ConditionType.RECONCILING) == ["True/DatabaseUnreachable"]


def test_documents_that_are_listed_but_not_queued_yet_count_as_pending(world: World, an_index: Make) -> None:
    index = an_index()
    world.reconcile(index)
    world.reconcile(index)
    world.work()
    world.revisions[0].queued.clear()
    documents = told(world, index).documents
    assert documents is not None
    assert (documents.total, documents.pending) == (8, 8)


class TestWriting:
    def test_an_unchanged_status_is_never_written(self, world: World, an_index: Make) -> None:
        status = told(world, an_index())
        assert not worth_writing(status, told(world, an_index(), status), START, START + timedelta(days=9))

    def test_a_transition_is_written_at_once(self, world: World, an_index: Make) -> None:
        index = an_index()
        before = told(world, index)
        world.settle(index)
        assert worth_writing(before, told(world, index, before), START, START)

    def test_counts_alone_wait(self, world: World, an_index: Make) -> None:
        index = an_index(ingestion={"parallelism": 1})
        world.settle_until(index, lambda: bool(world.serving() and world.serving().held))  # type: ignore[union-attr]
        before = told(world, index)
        world.work()
        after = told(world, index, before)
        assert after != before
        assert not worth_writing(before, after, START, START + COUNTS_EVERY - timedelta(seconds=1))
        assert worth_writing(before, after, START, START + COUNTS_EVERY)

    def test_the_first_status_is_written(self, an_index: Make) -> None:
        assert worth_writing(None, status_of(an_index(), Observed(), None, START), None, START)


def test_a_model_that_cannot_be_used_degrades_with_the_reason(an_index: Make) -> None:
    observed = Observed(provider_trouble="there is no endpoint cloud")
    degraded = status_of(an_index(), observed, None, START).condition(ConditionType.DEGRADED)
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", Reason.PROVIDER_UNAVAILABLE)
    assert degraded.message == "there is no endpoint cloud"


def test_a_run_starts_when_a_worker_takes_it(an_index: Make) -> None:
    asked = Run("2", RunState.PENDING, "k", requested_at=START + timedelta(minutes=9))
    ended = Run("1", RunState.SUCCEEDED, "k", requested_at=START, started_at=START + timedelta(minutes=1))
    waiting = status_of(an_index(), Observed(runs=Runs(asked, ended, ended)), None, START).ingestion
    assert waiting is not None
    assert waiting.last_start_time == ended.started_at
    taken = replace(asked, state=RunState.RUNNING, started_at=START + timedelta(minutes=10))
    under_way = status_of(an_index(), Observed(runs=Runs(taken, ended, ended)), None, START).ingestion
    assert under_way is not None
    assert under_way.last_start_time == taken.started_at
