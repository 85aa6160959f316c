"""How another model or chunking takes the place of the one that serves, and how it is taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragindex_core.object.reasons import ConditionType, Outcome, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import revision_key
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import VectorIndex, VectorIndexState
from ragindex_core.reconcile.plan import wake_at
from ragindex_core.testing.world import World

Make = Callable[..., RagIndex]


def documents(count: int, version: int = 1) -> dict[str, int]:
    return {f"{number:03}.md": version for number in range(count)}


@pytest.fixture
def world() -> World:
    return World(sources={"docs": documents(8)})


def test_another_chunking_builds_beside_the_live_revision_and_takes_over(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})

    def promoted_and_whole_till_then() -> bool:
        serving = world.serving()
        assert serving is not None
        assert len(serving.held) == 8
        assert {key for key, _ in serving.held.values()} == {serving.key}  # never two models in one answer
        assert world.says(edited, ConditionType.READY) == "True/Serving"
        return world.states() == {1: "Retained", 2: "Active"}

    world.settle_until(edited, promoted_and_whole_till_then)
    assert world.says(edited, ConditionType.RECONCILING) == "False/InForce"


def test_a_new_revision_takes_over_at_its_share_of_documents_with_its_index_built(an_index: Make) -> None:
    world = World(sources={"docs": documents(100)})
    world.settle(an_index())
    slowly: dict[str, object] = {"ingestion": {"parallelism": 1}, "rollout": {"minDocumentsPercent": 90}}
    edited = an_index(generation=2, chunking={"maxTokens": 200}, **slowly)
    world.settle_until(edited, lambda: world.states().get(2) == "Active")
    assert 90 <= len(world.revisions[1].held) < 100
    assert world.revisions[1].vector_index.state is VectorIndexState.VALID
    world.settle(edited)
    assert len(world.searchable()) == 100


def test_a_revision_in_which_too_many_documents_fail_waits_for_a_person(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.settle_until(edited, lambda: len(world.revisions) == 2 and bool(world.revisions[1].queued))
    spoiled = world.revisions[1]
    for document in sorted(spoiled.queued)[:3]:
        spoiled.failed[document] = spoiled.queued.pop(document)
    world.settle(edited)
    assert world.states() == {1: "Active", 2: "Building"}
    assert world.says(edited, ConditionType.PROGRESSING) == "False/TooFewDocuments"
    world.ask(RequestName.PROMOTE, "r2")
    world.settle(edited)
    assert world.states() == {1: "Retained", 2: "Active"}


def test_manual_promotion_waits_for_the_word(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"promotion": "Manual"})
    world.settle(edited)
    assert world.states() == {1: "Active", 2: "Building"}
    assert world.says(edited, ConditionType.PROGRESSING) == "False/AwaitingPromotion"
    world.settle(
        an_index(
            generation=2,
            chunking={"maxTokens": 200},
            rollout={"promotion": "Manual"},
            annotations={"promote": "r2"},
        )
    )
    assert world.states() == {1: "Retained", 2: "Active"}
    assert [(h.name, h.value, h.outcome) for h in world.handled] == [(RequestName.PROMOTE, "r2", Outcome.DONE)]


def test_manual_promotion_does_not_hold_the_first_revision(world: World, an_index: Make) -> None:
    world.settle(an_index(rollout={"promotion": "Manual"}))
    assert world.states() == {1: "Active"}


def test_promotion_asked_for_early_happens_when_the_revision_is_ready(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"promotion": "Manual"})
    world.reconcile(edited)
    world.ask(RequestName.PROMOTE, "r2")
    world.reconcile(edited)
    assert world.states()[1] == "Active"
    world.settle(edited)
    assert world.states() == {1: "Retained", 2: "Active"}


def test_a_costly_revision_embeds_nothing_before_it_is_approved(world: World, an_index: Make) -> None:
    index = an_index(rollout={"maxEstimatedTokens": 100})
    world.settle(index)
    assert world.searchable() == set()
    assert world.says(index, ConditionType.PROGRESSING) == "False/AwaitingApproval"
    world.ask(RequestName.APPROVE, "r1")
    world.settle(index)
    assert len(world.searchable()) == 8


def test_a_raised_limit_approves_too(world: World, an_index: Make) -> None:
    world.settle(an_index(rollout={"maxEstimatedTokens": 100}))
    world.settle(an_index(generation=2, rollout={"maxEstimatedTokens": 1000}))
    assert len(world.searchable()) == 8


def test_a_second_edit_drops_the_unpromoted_build(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.reconcile(an_index(generation=2, chunking={"maxTokens": 200}))
    last = an_index(generation=3, chunking={"maxTokens": 100})
    world.reconcile(last)
    world.reconcile(last)
    assert world.states() == {1: "Active", 2: "Dropping", 3: "Building"}
    world.settle_past_caches(last)
    assert world.states() == {1: "Retained", 3: "Active"}


def test_an_edit_back_drops_the_build_and_keeps_the_active_revision(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.reconcile(an_index(generation=2, chunking={"maxTokens": 200}))
    back = an_index(generation=3)
    world.settle_past_caches(back)
    assert world.states() == {1: "Active"}


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
    assert world.states() == {1: "Active", 2: "Retained"}
    assert "new.md" in world.searchable()


def test_an_edit_during_the_first_fill_keeps_what_readers_have(world: World, an_index: Make) -> None:
    first = an_index(ingestion={"parallelism": 1})
    world.settle_until(first, lambda: bool(world.searchable()))
    edited = an_index(generation=2, chunking={"maxTokens": 200}, ingestion={"parallelism": 1})

    def promoted_and_never_empty_till_then() -> bool:
        assert world.searchable()
        return world.states().get(2) == "Active"

    world.settle_until(edited, promoted_and_never_empty_till_then)
    world.settle_past_caches(edited)
    assert world.states() == {2: "Active"}  # what never was complete is not kept for rollback


def test_a_first_revision_without_a_passage_makes_way_at_once(world: World, an_index: Make) -> None:
    for _ in range(3):
        world.reconcile(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.reconcile(edited)
    world.reconcile(edited)
    assert world.row is not None
    assert world.row.serving == 2
    assert world.states()[1] == "Dropping"


def test_a_dropped_revision_outlives_the_caches_of_readers(world: World, an_index: Make) -> None:
    world.settle(an_index(rollout={"retainRevisions": 0}))
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"retainRevisions": 0})
    world.settle(edited)
    assert world.states() == {1: "Dropping", 2: "Active"}
    retired_at = world.revisions[0].retired_at
    assert retired_at is not None
    assert wake_at(edited, world.observe(), world.now, world.limits) == retired_at + world.limits.reader_cache
    world.settle_past_caches(edited)
    assert world.states() == {2: "Active"}


def test_a_former_revision_is_resumed_even_when_none_would_be_kept(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.settle_past_caches(an_index(generation=3, rollout={"retainRevisions": 0}))
    assert world.states() == {1: "Active"}


def test_one_vector_index_is_built_at_a_time_and_the_live_one_first(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200}, rollout={"minDocumentsPercent": 50})
    world.settle_until(edited, lambda: len(world.revisions) == 2 and world.revisions[1].chunks >= 40)
    world.revisions[0].vector_index = VectorIndex()
    builds = [action for action in world.reconcile(edited) if isinstance(action, a.BuildVectorIndex)]
    assert builds == [a.BuildVectorIndex(1, 16, 128)]
    world.work()
    assert a.BuildVectorIndex(2, 16, 128) in world.reconcile(edited)


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
    assert world.states() == {1: "Active", 2: "Retained"}
    assert "000.md" not in world.searchable()
    world.settle(edited)
    assert "new.md" in world.searchable()
    assert world.states() == {1: "Active", 2: "Retained"}
    assert world.says(edited, ConditionType.PROGRESSING) == "False/RolledBack"


def test_a_rollback_holds_until_promote_is_given(world: World, an_index: Make) -> None:
    world.settle(an_index())
    edited = an_index(generation=2, chunking={"maxTokens": 200})
    world.settle(edited)
    world.ask(RequestName.ROLLBACK, "r1")
    world.settle(edited)
    world.ask(RequestName.PROMOTE, "r2")
    world.settle(edited)
    assert world.states() == {1: "Retained", 2: "Active"}
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


def test_what_a_rollback_left_is_kept_for_promote_even_when_nothing_else_is(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.ask(RequestName.ROLLBACK, "r1")
    none_kept = an_index(generation=3, chunking={"maxTokens": 200}, rollout={"retainRevisions": 0})
    world.settle_past_caches(none_kept)
    assert world.states() == {1: "Active", 2: "Retained"}


def test_a_rollback_to_what_the_spec_wants_holds_nothing_back(world: World, an_index: Make) -> None:
    world.settle(an_index())
    world.settle(an_index(generation=2, chunking={"maxTokens": 200}))
    world.ask(RequestName.ROLLBACK, "r1")
    back = an_index(generation=3)
    world.settle(back)
    assert world.states() == {1: "Active", 2: "Retained"}
    assert world.says(back, ConditionType.PROGRESSING) == "False/UpToDate"
