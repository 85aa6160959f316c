"""A process whose epoch is over changes nothing, by whatever way it might."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from tests.integration.faults.lives import AtOnce, Jobs
from tests.integration.faults.state import state

from ragindex_core.errors import Unavailable
from ragindex_core.object.reasons import Outcome, RequestName
from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.object.revision import projection, revision_key
from ragindex_core.ports import SourceObject
from ragindex_core.reconcile import actions as act
from ragindex_core.reconcile.observed import Timetable
from ragindex_db import documents, indexes, schema
from ragindex_db.documents import Listed
from ragindex_db.engine import Database
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence, Fenced
from ragindex_operator.outside import Original
from ragindex_operator.perform import Performer
from ragindex_operator.reconcile import Reconciler

DOCUMENT: dict[str, Any] = {
    "apiVersion": "ragindex.io/v1alpha1",
    "kind": "RagIndex",
    "metadata": {"name": "notes"},
    "spec": {
        "embedding": {"provider": "OpenAI", "model": "words", "dimensions": 32},
        "sources": [
            {"name": "files", "directory": {"path": "files"}},
            {"name": "notes", "configMap": {"name": "notes"}},
        ],
    },
}
FIRST, SECOND = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


def wanted(uid: str = FIRST, **metadata: Any) -> RagIndex:
    index = parse(DOCUMENT, "test")
    given = {"uid": uid, "generation": 1, **metadata}
    return index.model_copy(update={"metadata": index.metadata.model_copy(update=given)})


class OneOriginal:
    def read(self, _wanted: RagIndex, name: str) -> Original:
        return Original("v1", {"a.md": name.encode()})


@dataclass
class World:
    """A database, what lies beside it, and two who think that it is theirs."""

    database: Database
    url: str
    outside: Path
    late: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stale = Fence.raised(self.database, "test", "the former")
        self.present = Fence.raised(self.database, "test", "the present one")

    def perform(self, action: act.Action, fence: Fence, uid: str, builds: Builds | None = None) -> None:
        Performer(
            database=self.database,
            fence=fence,
            wanted=wanted(uid),
            base_path=None,
            workforce=Jobs(self.outside / "workers"),
            builds=builds or AtOnce(lambda: None),
            release=(self.outside / "released").touch,
            originals=OneOriginal(),
        ).perform(action)

    def state(self) -> dict[str, Any]:
        return state(self.url) | {path.name: path.read_text() for path in self.outside.iterdir()}

    def list_document(self) -> None:
        listed = Listed(SourceObject(key="a.md", uri="file:///a.md", version="1", size=10))
        with self.database.begin() as connection:
            row = indexes.by_uid(connection, FIRST)
            assert row is not None
            documents.add(connection, row.id, row.namespace, "files", [listed])

    def fail_document(self) -> None:
        with self.database.begin() as connection:
            connection.execute(sa.update(schema.revision_documents).values(state="Failed", attempts=3))


@pytest.fixture
def world(database: Database, database_url: str, tmp_path: Path) -> World:
    outside = tmp_path / "outside"
    outside.mkdir()
    return World(database, database_url, outside)


def nothing(_world: World) -> None:
    pass


_SPEC = wanted().spec
_BUILT = projection(_SPEC)
#: An order in which each has something to change, with what has to happen before it.
EVERY_WAY_TO_WRITE: list[tuple[act.Action, Callable[[World], None], str]] = [
    (act.RegisterIndex(1, "inputs"), nothing, FIRST),
    (act.CreateRevision(revision_key(_SPEC), _BUILT), nothing, FIRST),
    (act.CreateTables(1), World.list_document, FIRST),
    (act.Enqueue(1), nothing, FIRST),
    (act.EstimateCost(1), nothing, FIRST),
    (act.Approve(1), nothing, FIRST),
    (act.AllowEmbedding(1), nothing, FIRST),
    (act.StartRun(act.Trigger.CREATED, "inputs"), nothing, FIRST),
    (act.MirrorSource("notes"), nothing, FIRST),
    (act.KeepTimetable(Timetable("0 4 * * *", "Etc/UTC")), nothing, FIRST),
    (act.DropTimetable(), nothing, FIRST),
    (act.ListSources("1"), nothing, FIRST),
    (act.EnsureWorkers(frozenset({1}), 2), nothing, FIRST),
    (act.StopWorkers(), nothing, FIRST),
    (act.RetryFailed(frozenset({1})), World.fail_document, FIRST),
    (act.RebuildDocuments(frozenset({1})), World.fail_document, FIRST),
    (act.BuildVectorIndex(1, 16, 64), nothing, FIRST),
    (act.DropVectorIndex(1), nothing, FIRST),
    (act.Promote(1), nothing, FIRST),
    (act.CreateRevision("another", _BUILT), nothing, FIRST),
    (act.Serve(2), nothing, FIRST),
    (act.Promote(2), nothing, FIRST),
    (act.Rollback(1, held_key="another"), nothing, FIRST),
    (act.ReleaseHold(), nothing, FIRST),
    (act.ResumeRevision(2), nothing, FIRST),
    (act.RetireRevision(2), nothing, FIRST),
    (act.DropRevision(2), nothing, FIRST),
    (act.AnswerRequest(RequestName.SYNC, "one", Outcome.DONE), nothing, FIRST),
    (act.RetainIndex(), nothing, FIRST),
    (act.AdoptIndex(FIRST, 1, "inputs"), nothing, SECOND),
    (act.DropIndex(), nothing, SECOND),
    (act.ReleaseObject(), nothing, SECOND),
]


def test_no_action_of_a_former_holder_changes_anything(world: World) -> None:
    assert {type(action) for action, _, _ in EVERY_WAY_TO_WRITE} == set(get_args(act.Action))
    after = world.state()
    for action, prepare, uid in EVERY_WAY_TO_WRITE:
        prepare(world)
        before = after if prepare is nothing else world.state()
        with pytest.raises(Fenced):
            world.perform(action, world.stale, uid)
        assert world.state() == before, action
        world.perform(action, world.present, uid)
        after = world.state()
        assert after != before, f"{action} writes nothing at all, so this shows nothing"


class Late(Builds):
    """Those whose turn has not come."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.waiting: list[Callable[[], None]] = []

    def start(self, _name: str, build: Callable[[], None]) -> None:
        self.waiting.append(build)


def test_an_index_build_whose_turn_comes_too_late_is_not_begun(world: World) -> None:
    for action, prepare, uid in EVERY_WAY_TO_WRITE[:7]:
        prepare(world)
        world.perform(action, world.present, uid)
    builds = Late()
    world.perform(act.BuildVectorIndex(1, 16, 64), world.present, FIRST, builds)
    before = world.state()
    Fence.raised(world.database, "test", "the next")
    with pytest.raises(Fenced):
        builds.waiting[0]()
    builds.close()
    assert world.state() == before


def test_a_former_holder_tells_no_status(world: World) -> None:
    world.perform(act.RegisterIndex(1, "inputs"), world.present, FIRST)
    before = world.state()
    paused = wanted(annotations={"ragindex.io/paused": "true"})
    builds = AtOnce(lambda: None)

    def look(fence: Fence) -> None:
        Reconciler(world.database, fence, Jobs(world.outside / "workers"), builds).reconcile(paused, None, nothing_more)

    with pytest.raises(Fenced):
        look(world.stale)
    assert world.state() == before
    look(world.present)
    assert world.state() != before


def test_who_could_not_take_over_yet_writes_nothing_and_is_not_over_either(world: World) -> None:
    before = world.state()
    with pytest.raises(Unavailable):
        world.perform(act.RegisterIndex(1, "inputs"), Fence("test", epoch=0), FIRST)
    assert world.state() == before


def nothing_more() -> None:
    pass
