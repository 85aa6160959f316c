"""The store of the operator's Jobs and CronJobs follows a real API server through cuts, ends and restarts."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.kube.harness.api_proxy import ApiProxy
from tests.kube.harness.control_plane import ControlPlane, GivenCluster

from ragindex_operator.cluster import api
from ragindex_operator.cluster import jobs as jobs_store
from ragindex_operator.cluster.api import KubeApi, cron_jobs, jobs
from ragindex_operator.cluster.connection import Connection
from ragindex_operator.cluster.jobs import JobStore
from ragindex_operator.cluster.vital_signs import VitalSigns

SOON = 40.0
POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}


class Changes:
    """The keys told, to be waited on."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._changed = threading.Condition()

    def add(self, key: str) -> None:
        with self._changed:
            self.keys.append(key)
            self._changed.notify_all()

    def wait_for(self, what: Callable[[], object], seconds: float = SOON) -> None:
        with self._changed:
            assert self._changed.wait_for(what, seconds)


class Heard(VitalSigns):
    """Vital signs whose beats can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self.beats = Changes()

    def beat(self, name: str) -> None:
        super().beat(name)
        self.beats.add(name)


@pytest.fixture
def kube(control_plane: ControlPlane | GivenCluster) -> KubeApi:
    return KubeApi(Connection.found(control_plane.kubeconfig))


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def vital_signs() -> Heard:
    return Heard()


@pytest.fixture
def store(kube: KubeApi, namespace: str, changes: Changes, vital_signs: Heard) -> Iterator[JobStore]:
    store = JobStore(kube, namespace, "main", changes.add, vital_signs)
    store.start()
    yield store
    store.stop()


def job(uid: str, installation: str = "main") -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/managed-by": "ragindex-operator",
        "app.kubernetes.io/instance": installation,
        "ragindex.io/uid": uid,
        "ragindex.io/namespace": "team",
        "ragindex.io/name": f"index-{uid}",
    }
    spec = {"suspend": True, "template": {"spec": POD}}
    metadata = {"name": f"job-{uuid.uuid4().hex[:8]}", "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def cron_job(uid: str) -> dict[str, Any]:
    made = job(uid)
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": POD}}}}
    return {**made, "kind": "CronJob", "spec": spec}


def names(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["metadata"]["name"] for body in bodies]


def test_what_is_there_and_what_comes_is_kept_by_object_and_nothing_of_others(
    kube: KubeApi, namespace: str, changes: Changes
) -> None:
    before = kube.create(jobs(namespace), job("one"))
    kube.create(jobs(namespace), job("one", installation="another"))
    store = JobStore(kube, namespace, "main", changes.add, VitalSigns())
    store.start()
    try:
        assert store.synced.wait(SOON)
        assert names(store.of("one")) == names([before])
        assert store.of("one")[0]["kind"] == "Job"
        after = kube.create(jobs(namespace), job("two"))
        schedule = kube.create(cron_jobs(namespace), cron_job("two"))
        changes.wait_for(lambda: store.of("two") and store.schedule_of("two"))
        assert sorted(names(store.every())) == sorted(names([before, after]))
        kept = {"metadata": "managedFields", "spec": "jobTemplate"}  # each without what nobody asks for
        trimmed = {
            part: {name: value for name, value in schedule[part].items() if name != left_out}
            for part, left_out in kept.items()
        }
        assert store.schedule_of("two") == {**schedule, **trimmed}
        assert store.schedule_of("one") is None
        kube.delete(jobs(namespace, after["metadata"]["name"]))
        changes.wait_for(lambda: not store.of("two"))
    finally:
        store.stop()
    assert set(changes.keys) == {"team/index-one", "team/index-two"}


def test_an_own_write_is_seen_at_once_and_stays(
    store: JobStore, kube: KubeApi, namespace: str, changes: Changes
) -> None:
    assert store.synced.wait(SOON)
    for number in range(20):
        uid = f"uid-{number}"
        made = kube.create(jobs(namespace), job(uid))
        store.put(made)
        assert names(store.of(uid)) == names([made])
        path = jobs(namespace, made["metadata"]["name"])
        changed = kube.patch(path, [{"op": "replace", "path": "/spec/suspend", "value": True}])
        store.put(changed)
        kube.delete(path, uid=made["metadata"]["uid"])
        store.forget(made)
        assert store.of(uid) == []
    last = kube.create(jobs(namespace), job("last"))
    changes.wait_for(lambda: store.of("last"))
    assert names(store.every()) == names([last]), "late events of the others brought none back"


def test_what_happened_while_the_api_server_was_away_is_known_afterwards(
    own_control_plane: ControlPlane, store: JobStore, kube: KubeApi, namespace: str, changes: Changes
) -> None:
    kept = kube.create(jobs(namespace), job("kept"))
    gone = kube.create(jobs(namespace), job("gone"))
    changes.wait_for(lambda: store.of("gone"))
    changes.wait_for(lambda: store.of("kept"))
    own_control_plane.kill_api_server()
    own_control_plane.start_api_server()
    kube.delete(jobs(namespace, gone["metadata"]["name"]))
    kube.create(jobs(namespace), job("new"))
    changes.wait_for(lambda: store.of("new") and not store.of("gone"))
    assert names(store.of("kept")) == names([kept])


def test_a_cut_watch_is_begun_anew(
    api_proxy: ApiProxy, kube: KubeApi, namespace: str, changes: Changes, vital_signs: Heard
) -> None:
    through = KubeApi(Connection.found(api_proxy.kubeconfig))
    store = JobStore(through, namespace, "main", changes.add, vital_signs)
    store.start()
    try:
        assert store.synced.wait(SOON)
        for number in range(3):
            api_proxy.cut()
            kube.create(jobs(namespace), job(f"uid-{number}"))
            changes.wait_for(lambda uid=f"uid-{number}": store.of(uid))  # type: ignore[misc]
    finally:
        store.stop()


def test_what_a_watch_lost_is_known_by_the_next_list(
    api_proxy: ApiProxy, kube: KubeApi, namespace: str, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "WATCH_SECONDS", 2)
    monkeypatch.setattr(jobs_store, "_SHORTEST_WATCH", 1)
    gone = kube.create(jobs(namespace), job("gone"))
    store = JobStore(KubeApi(Connection.found(api_proxy.kubeconfig)), namespace, "main", changes.add, VitalSigns())
    store.start()
    try:
        assert store.synced.wait(SOON)
        api_proxy.drop_watch_events(100)
        kube.delete(jobs(namespace, gone["metadata"]["name"]))
        kube.create(jobs(namespace), job("new"))
        changes.wait_for(lambda: store.of("new") and not store.of("gone"))
        assert api_proxy.watch_events_dropped >= 2
    finally:
        store.stop()


@pytest.mark.long
def test_an_idle_watch_gives_signs_of_life_and_lists_nothing_again(
    store: JobStore, kube: KubeApi, vital_signs: Heard
) -> None:
    assert store.synced.wait(SOON)
    for beats in (1, 2):
        vital_signs.beats.wait_for(
            lambda beats=beats: min(map(vital_signs.beats.keys.count, ("jobs", "cronjobs"))) >= beats  # type: ignore[misc]
        )
    assert vital_signs.failing() == []
    assert kube.requests_made["list"] == 2


@pytest.mark.long
def test_a_silent_watch_is_noticed_begun_anew_and_well_in_time(
    api_proxy: ApiProxy, kube: KubeApi, namespace: str, changes: Changes, vital_signs: Heard
) -> None:
    store = JobStore(KubeApi(Connection.found(api_proxy.kubeconfig)), namespace, "main", changes.add, vital_signs)
    store.start()
    try:
        assert store.synced.wait(SOON)
        api_proxy.silence_watches()
        kube.create(jobs(namespace), job("unheard"))
        changes.wait_for(lambda: store.of("unheard"), seconds=60)  # by the list that follows
        api_proxy.let_watches_speak()
        vital_signs.beats.wait_for(lambda: {"jobs", "cronjobs"} <= set(vital_signs.beats.keys))
        assert vital_signs.failing() == []
    finally:
        store.stop()
