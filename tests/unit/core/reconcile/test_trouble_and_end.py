"""What suspends, pauses, hinders and ends an index."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragindex_core.object.reasons import ConditionType, Outcome, Reason, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import inputs_key
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import DatabaseState, RevisionState
from ragindex_core.testing.world import World

Make = Callable[..., RagIndex]


def documents(count: int, version: int = 1) -> dict[str, int]:
    return {f"{number:03}.md": version for number in range(count)}


@pytest.fixture
def world() -> World:
    return World(sources={"docs": documents(8)})


def test_suspension_stops_ingestion_and_nothing_else(world: World, an_index: Make) -> None:
    world.settle(an_index())
    suspended = an_index(generation=2, suspend=True)
    world.sources["docs"]["new.md"] = 1
    world.ask(RequestName.SYNC, "now")
    world.settle(suspended)
    assert len(world.runs) == 1
    assert world.handled == []  # it waits
    assert world.says(suspended, ConditionType.READY) == "True/Serving"
    assert world.says(suspended, ConditionType.SUSPENDED) == "True/SuspendedBySpec"
    world.settle(an_index(generation=3))
    assert "new.md" in world.searchable()


def test_suspension_stops_workers(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: world.crew.workers is not None)
    assert a.StopWorkers() in world.reconcile(an_index(generation=2, suspend=True, ingestion={"parallelism": 1}))


def test_other_parallelism_reaches_the_workers_that_are_there(world: World, an_index: Make) -> None:
    index = an_index(ingestion={"parallelism": 1})
    world.settle_until(index, lambda: world.crew.workers is not None)
    more = world.reconcile(an_index(generation=2, ingestion={"parallelism": 3}))
    assert a.EnsureWorkers(frozenset({1}), 3) in more


def test_a_paused_object_is_left_alone(world: World, an_index: Make) -> None:
    world.settle(an_index())
    paused = an_index(generation=2, chunking={"maxTokens": 200}, annotations={"paused": "true"})
    assert world.reconcile(paused) == ()
    assert world.says(paused, ConditionType.PAUSED) == "True/PausedByAnnotation"


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
    assert world.says(broken, ConditionType.READY) == "True/Serving"
    assert world.says(broken, ConditionType.STALLED) == "True/InvalidSpec"
    assert world.says(broken, ConditionType.PROGRESSING) == "False/InvalidSpec"


def test_with_the_database_out_of_reach_nothing_is_planned(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.database = DatabaseState(reachable=False, message="connection refused")
    assert world.reconcile(an_index(generation=2, chunking={"maxTokens": 200})) == ()
    assert world.says(index, ConditionType.READY) == "False/DatabaseUnreachable"


def test_a_database_that_takes_no_writes_still_answers(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.database = DatabaseState(writable=False)
    assert world.reconcile(an_index(generation=2, chunking={"maxTokens": 200})) == ()
    assert world.says(index, ConditionType.READY) == "True/Serving"
    assert world.says(index, ConditionType.DATABASE_REACHABLE) == "False/ReadOnlyDatabase"


def test_a_full_disk_holds_up_all_work_and_no_query(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.database = DatabaseState(full=True)
    changed = an_index(generation=2, chunking={"maxTokens": 200})
    assert world.reconcile(changed) == ()
    assert world.says(index, ConditionType.READY) == "True/Serving"
    assert world.says(index, ConditionType.DATABASE_REACHABLE) == "False/DatabaseFull"
    assert world.says(index, ConditionType.DEGRADED) == "True/DatabaseFull"
    assert world.says(changed, ConditionType.PROGRESSING) == "False/DatabaseFull"
    world.database = DatabaseState()
    assert world.reconcile(changed) != (), "it goes on by itself"


def test_a_full_disk_keeps_no_index_from_being_dropped(world: World, an_index: Make) -> None:
    world.settle(an_index(deletionPolicy="Delete"))
    world.database = DatabaseState(full=True)
    assert world.reconcile(an_index(deletionPolicy="Delete", deleted=True)) == (a.DropIndex(),)


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
    assert world.says(going, ConditionType.PROGRESSING) == "False/DeletionBlocked"
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
    assert world.reconcile(index)[0] == a.AdoptIndex("77aa", 1, inputs_key(index.spec))
    assert world.handled[0].outcome is Outcome.DONE


def test_adoption_of_what_is_not_there_builds_nothing(world: World, an_index: Make) -> None:
    index = an_index(annotations={"adopt-from": "77aa"})
    assert world.reconcile(index) == ()
    assert world.says(index, ConditionType.STALLED) == f"True/{Reason.ADOPTION_REFUSED}"


def test_an_object_that_came_back_is_no_longer_retained(world: World, an_index: Make) -> None:
    index = an_index()
    world.settle(index)
    world.apply(a.RetainIndex(), index)
    assert world.reconcile(index) == (a.RegisterIndex(1, inputs_key(index.spec)),)
    assert world.revisions[0].state is RevisionState.ACTIVE


UNKNOWN_DIMENSIONS = {"embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 100}}


def test_a_new_object_that_cannot_work_is_known_and_says_why(world: World, an_index: Make) -> None:
    broken = an_index(**UNKNOWN_DIMENSIONS)
    assert world.reconcile(broken) == (a.RegisterIndex(1, inputs_key(broken.spec)),)
    assert world.reconcile(broken) == ()
    assert world.says(broken, ConditionType.STALLED) == "True/InvalidSpec"
    assert world.says(broken, ConditionType.READY) == "False/InvalidSpec"
    world.settle(an_index(generation=2))
    assert world.says(an_index(generation=2), ConditionType.READY) == "True/Serving"


def test_an_object_that_cannot_work_takes_nothing_over(world: World, an_index: Make) -> None:
    world.adoptable = frozenset({"77aa"})
    assert world.reconcile(an_index(annotations={"adopt-from": "77aa"}, **UNKNOWN_DIMENSIONS)) == ()
