"""An operator that dies before or after any effect of its own: the next one comes to the same end, and leaves nothing
that no object stands behind."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from tests.integration.faults.state import state
from tests.kube.harness.api import Api, Object
from tests.kube.harness.control_plane import ControlPlane, GivenCluster, free_ports
from tests.kube.operator.hands import Hands
from tests.kube.operator.installation import Installation, path_of, rag_index, up_to_date
from tests.kube.operator.mortals import Mortal, Mortals

from ragindex_core.object.resource import knowledge_base_id
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_providers.testing.openai_server import FakeOpenAIServer

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
AT_ONCE = 4
#: What a restarted operator is given to come to the same end; the first life has no such promise to keep.
CONVERGES_SECONDS = 60
CLEAN_SECONDS = 120
QUIET_SECONDS = 3

NOTES = {f"{n}.md": f"# Tower {n}\n\n" + " ".join(f"Its keeper is keeper{n}-{m}." for m in range(60)) for n in range(3)}
EDITED = {**NOTES, "2.md": "# Tower 2\n\nIt fell.", "3.md": "# Tower 3\n\nIt has no keeper yet."}
SPEC: dict[str, Any] = {
    "chunking": {"maxTokens": 200, "overlapTokens": 20},
    "ingestion": {"schedule": "0 3 1 1 *", "timeZone": "Etc/UTC"},
    "rollout": {"retainRevisions": 0},
    "deletionPolicy": "Delete",
}


class Scene:
    """One installation, with one object in it, from its creation to its deletion."""

    def __init__(self, stage_set: StageSet, mortals: Mortals) -> None:
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.api = stage_set.api
        self.where = path_of(self.namespace)
        self.url = stage_set.new_database()
        self.database = Database(DatabaseSettings(url=self.url, pool_size=4))
        self.uid = ""
        self._mortals = mortals
        self._lives: list[Mortal] = []
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self._folder = stage_set.folder / self.namespace
        self._folder.mkdir()
        self.installation = Installation(
            self.api, stage_set.kubeconfig, self.namespace, self.url, self.database, self._folder, stage_set.models
        )
        self._kubeconfig = stage_set.kubeconfig
        self.installation.set_up()
        self._hands = Hands(self.api, self.namespace, self.installation.name, self.database, self._folder)

    def operator(self, end_at: str | None = None) -> Mortal:
        """Each with a Lease of its own name: the next need not wait until that of a dead one has run out."""
        (port,) = free_ports(1)
        self._lives.append(
            self._mortals.live(
                {
                    "database_url": self.url,
                    "installation": self.installation.name,
                    "kubeconfig": str(self._kubeconfig),
                    "release_namespace": self.namespace,
                    "namespaces": json.dumps([self.namespace]),
                    "lease": f"ragindex-operator-{len(self._lives)}",
                    "worker": json.dumps({"image": "ragindex"}),
                    "concurrency": "2",
                    "database_pool": "3",
                    "port": str(port),
                },
                end_at,
            )
        )
        return self._lives[-1]

    def close(self) -> None:
        for life in self._lives:
            life.kill()
        self._hands.close()
        self.database.close()
        self.api.delete(f"/api/v1/namespaces/{self.namespace}")

    # What is there

    def item(self) -> Object | None:
        listed = self.api.get(self.where)["items"]
        return listed[0] if listed else None

    def everything(self) -> dict[str, Any]:
        """All that a look from outside can see, without times, and with one name for what each scene names itself."""
        item = self.item()
        found = {
            "finalizers": item["metadata"].get("finalizers") if item else None,
            "status": {**item.get("status", {}), "database": None} if item else None,
            "jobs": sorted(map(_job, self._batch("jobs")), key=repr),
            "schedules": sorted(map(_job, self._batch("cronjobs")), key=repr),
            **self._database(),
        }
        names = {
            self.uid: "UID",
            self.uid[:8]: "UID",
            self.namespace: "NAMESPACE",
            self.installation.name: "INSTALLATION",
            knowledge_base_id(self.uid): "KNOWLEDGE-BASE",
        }
        text = json.dumps(found, default=repr, sort_keys=True)
        for own, common in names.items():
            text = text.replace(own, common)
        plain: dict[str, Any] = json.loads(_VERSION.sub("a version", _TIME.sub("a time", text)))
        return plain

    def _database(self) -> dict[str, Any]:
        try:
            return state(self.url)
        except sa.exc.DBAPIError as error:  # a table went while we read
            return {"read at a bad moment": str(error)}

    def _batch(self, plural: str) -> list[Object]:
        items: list[Object] = self.api.get(f"/apis/batch/v1/namespaces/{self.namespace}/{plural}")["items"]
        return items

    def settled(self) -> bool:
        """Everything that was asked for is done, and the end of every Job was taken note of."""
        item = self.item()
        noted = all("ttlSecondsAfterFinished" in job["spec"] for job in self._batch("jobs"))
        return noted and (up_to_date(item) if item else not self._batch("jobs"))


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_VERSION = re.compile(r"(?<='resourceVersion': ')\d+")


def _job(body: Object) -> dict[str, Any]:
    """A Job or a CronJob."""
    ends = [each["type"] for each in body["status"].get("conditions", []) if each["status"] == "True"]
    return {"name": body["metadata"]["name"], "labels": body["metadata"]["labels"], "ended": sorted(ends)}


# The stages of an object's life


def _create(scene: Scene) -> None:
    scene.installation.write_notes("towers", NOTES)
    made = scene.api.create(scene.where, rag_index("towers", scene.namespace, **SPEC))
    scene.uid = made["metadata"]["uid"]


def _edit(scene: Scene) -> None:
    scene.installation.write_notes("towers", EDITED)
    scene.api.patch(f"{scene.where}/towers", {"spec": {"chunking": {"maxTokens": 100}}})


def _delete(scene: Scene) -> None:
    scene.api.delete(f"{scene.where}/towers")


STAGES: dict[str, Callable[[Scene], None]] = {"create": _create, "edit": _edit, "delete": _delete}

#: Those of the short form, by the life that dies there: after each of them something is half done.
SHORT = (
    {"create": "create listing job, after", "edit": "DropRevision, before", "delete": "DropIndex, after"},
    {"create": "Promote, after", "edit": "CreateTables, after", "delete": "delete cronjobs, after"},
)


@dataclass
class StageSet:
    """What all scenes share, and the clean life's end of each stage."""

    api: Api
    kubeconfig: Path
    server_url: str
    template: str
    folder: Path
    models: FakeOpenAIServer
    clean: dict[str, Future[dict[str, Any]]] = field(default_factory=lambda: {name: Future() for name in STAGES})
    points: dict[str, list[str]] = field(default_factory=dict)
    databases: list[str] = field(default_factory=list)

    def new_database(self) -> str:
        name = f"life_{uuid.uuid4().hex[:12]}"
        self.databases.append(name)
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, self.template)
        return f"{self.server_url}/{name}"

    def close(self) -> None:
        for name in self.databases:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def _run(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(f"{self.server_url}/postgres", autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))


@dataclass
class Outcome:
    """Of one life with a death in each stage."""

    killed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    wrong: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def stage_set(
    control_plane: ControlPlane | GivenCluster,
    crd: None,
    api: Api,
    server_url: str,
    template: str,
    models: FakeOpenAIServer,
    tmp_path: Path,
) -> Iterator[StageSet]:
    made = StageSet(api, control_plane.kubeconfig, server_url, template, tmp_path, models)
    yield made
    made.close()


@pytest.fixture
def mortals(tmp_path: Path) -> Iterator[Mortals]:
    mortals = Mortals(tmp_path)
    yield mortals
    mortals.close()


def live_cleanly(stage_set: StageSet, mortals: Mortals) -> None:
    scene = Scene(stage_set, mortals)
    try:
        for name, begin in STAGES.items():
            begin(scene)
            operator = scene.operator()
            stage_set.clean[name].set_result(_quiet(scene, operator, name))
            operator.kill()
            stage_set.points[name] = operator.points
    except BaseException as error:
        for end in stage_set.clean.values():
            if not end.done():
                end.set_exception(error)
        raise
    finally:
        scene.close()


def _quiet(scene: Scene, operator: Mortal, stage: str) -> dict[str, Any]:
    """What is there when nothing is left to do, and nothing changes any more."""
    end = time.monotonic() + CLEAN_SECONDS
    seen, since = None, time.monotonic()
    while seen is None or time.monotonic() - since < QUIET_SECONDS:
        assert time.monotonic() < end, f"{stage} does not come to an end: {json.dumps(seen)}\n{operator.said()}"
        assert operator.alive, f"{stage}: the operator ended\n{operator.said()}"
        now = scene.everything() if scene.settled() else None
        if now is None or now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.3)
    return seen


def live_and_die(stage_set: StageSet, mortals: Mortals, deaths: dict[str, str]) -> Outcome:
    """Dies once in each stage that ``deaths`` names, and lives on."""
    outcome = Outcome()
    scene = Scene(stage_set, mortals)
    try:
        for stage, begin in STAGES.items():
            begin(scene)
            point = deaths.get(stage)
            expected = stage_set.clean[stage].result()
            operator = scene.operator(point)
            if point is not None:
                died = _died(operator, partial(_arrived, expected, scene))
                (outcome.killed if died else outcome.missed).append(f"{stage}: {point}")
                operator = scene.operator()
            began = time.monotonic()
            while not _arrived(expected, scene) and time.monotonic() - began < CONVERGES_SECONDS:
                time.sleep(0.3)
            outcome.took.append(time.monotonic() - began)
            if different := _differences(expected, scene.everything()):
                outcome.wrong[f"{stage}: {point}"] = {**different, "said": operator.said()}
                break
            operator.kill()
    finally:
        scene.close()
    return outcome


def _died(operator: Mortal, arrived: Callable[[], bool]) -> bool:
    """False for one that came to the end without coming to its point: what happens how often is not always the same."""
    end = time.monotonic() + CLEAN_SECONDS
    while not operator.await_end(0.5):
        if arrived():
            operator.kill()
            return False
        assert time.monotonic() < end, f"{operator.life.end_at} is not reached, and no end\n{operator.said()}"
    assert operator.points[-1] == operator.life.end_at, operator.said()
    return True


def _arrived(expected: dict[str, Any], scene: Scene) -> bool:
    return scene.settled() and not _differences(expected, scene.everything())


def _differences(clean: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What should be there, and what is there instead."""
    wrong = {}
    for key in clean | found:
        wanted, there = clean.get(key), found.get(key)
        if wanted == there:
            continue
        if isinstance(wanted, list) and isinstance(there, list):
            these, those = Counter(map(repr, wanted)), Counter(map(repr, there))
            wanted, there = list((these - those).elements()), list((those - these).elements())
        wrong[key] = {"wanted": wanted, "there": there}
    return wrong


def _lives_of(points: dict[str, list[str]]) -> Sequence[dict[str, str]]:
    """Each point of each stage is the death of one life."""
    longest = max(map(len, points.values()))
    return [{stage: each[n] for stage, each in points.items() if n < len(each)} for n in range(longest)]


def test_killed_at_any_effect_the_next_comes_to_the_same_end(stage_set: StageSet, mortals: Mortals) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        clean = pool.submit(live_cleanly, stage_set, mortals)
        if LONG:
            clean.result()
        lives = _lives_of(stage_set.points) if LONG else SHORT
        outcomes = list(pool.map(lambda deaths: live_and_die(stage_set, mortals, deaths), lives))
        clean.result()
    killed = [point for outcome in outcomes for point in outcome.killed]
    missed = [point for outcome in outcomes for point in outcome.missed]
    took = [seconds for outcome in outcomes for seconds in outcome.took]
    count = sum(map(len, stage_set.points.values()))
    print(f"killed at {len(killed)} of {count} points, the same end after {max(took):.1f} s at most; missed: {missed}")  # noqa: T201
    wrong = {point: why for outcome in outcomes for point, why in outcome.wrong.items()}
    assert not wrong, json.dumps(wrong, indent=1)
    assert len(killed) >= (25 if LONG else 6)
