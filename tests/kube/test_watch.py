"""The operator hears of every RagIndex object from a real API server, and of its own deafness."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.kube.harness.api import Api
from tests.kube.harness.api_proxy import ApiProxy
from tests.kube.harness.control_plane import ControlPlane, GivenCluster
from tests.kube.operator.installation import wait_for

from ragindex_operator.cluster import kopf_session, kopf_source
from ragindex_operator.cluster.api import KubeApi, rag_indexes
from ragindex_operator.cluster.connection import Connection
from ragindex_operator.cluster.kopf_source import ObjectEvents
from ragindex_operator.cluster.vital_signs import VitalSigns

SOON = 60.0
SPEC = {
    "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
    "sources": [{"name": "uploads", "uploads": {}}],
}

pytestmark = pytest.mark.usefixtures("crd")


class Ears:
    """What was heard: ("add", key) and ("gone", key), and the signs of life."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.beats: list[str] = []
        self.failures: list[str] = []
        self._changed = threading.Condition()
        ears = self

        class Signs(VitalSigns):
            __slots__ = ()

            def beat(self, name: str) -> None:
                super().beat(name)
                ears._hear(ears.beats, name)

            def fail(self, name: str, why: str) -> None:
                super().fail(name, why)
                ears._hear(ears.failures, why)

        self.vital_signs = Signs()

    def add(self, key: str) -> None:
        self._hear(self.heard, ("add", key))

    def gone(self, key: str) -> None:
        self._hear(self.heard, ("gone", key))

    def forget(self) -> None:
        with self._changed:
            self.heard.clear()

    def wait_for(self, what: Callable[[], object], seconds: float = SOON) -> None:
        with self._changed:
            assert self._changed.wait_for(what, seconds), (self.heard, self.failures)

    def wait_for_key(self, kind: str, key: str) -> None:
        self.wait_for(lambda: (kind, key) in self.heard)

    def _hear(self, where: list[Any], what: Any) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def kube(control_plane: ControlPlane | GivenCluster) -> KubeApi:
    return KubeApi(Connection.found(control_plane.kubeconfig))


class Listening:
    def __init__(self, ears: Ears, kubeconfig: Path, namespaces: Sequence[str]) -> None:
        connection = Connection.found(kubeconfig)
        self.events = ObjectEvents(ears.add, ears.gone, ears.vital_signs, namespaces, connection)

    def __enter__(self) -> ObjectEvents:
        self.events.start()
        return self.events

    def __exit__(self, *_: object) -> None:
        self.events.stop()


@pytest.fixture
def listening(ears: Ears, control_plane: ControlPlane | GivenCluster, namespace: str) -> Iterator[ObjectEvents]:
    with Listening(ears, control_plane.kubeconfig, [namespace]) as events:
        yield events


def make(kube: KubeApi, namespace: str, name: str = "handbook") -> dict[str, Any]:
    body = {"apiVersion": "ragindex.io/v1alpha1", "kind": "RagIndex", "metadata": {"name": name}, "spec": SPEC}
    return kube.create(rag_indexes(namespace), body)


def suspend(kube: KubeApi, namespace: str, name: str = "handbook") -> None:
    kube.patch(rag_indexes(namespace, name), [{"op": "add", "path": "/spec/suspend", "value": True}])


def test_an_object_made_edited_and_deleted_is_heard_of_and_never_written(
    listening: ObjectEvents, ears: Ears, kube: KubeApi, namespace: str
) -> None:
    key = f"{namespace}/handbook"
    made = make(kube, namespace)
    ears.wait_for_key("add", key)
    ears.forget()
    suspend(kube, namespace)
    ears.wait_for_key("add", key)
    found = kube.get(rag_indexes(namespace, "handbook"))
    managers = {field["manager"] for field in found["metadata"]["managedFields"]}
    assert managers == {"ragindex-operator"}, "this test's own writes and no other"
    assert found["metadata"].keys() == made["metadata"].keys(), "neither a finalizer nor an annotation"
    kube.delete(rag_indexes(namespace, "handbook"))
    ears.wait_for_key("gone", key)
    assert ears.vital_signs.failing() == []
    wait_for(lambda: "event loop" in ears.vital_signs.lags, "a measure of the loop's lag, taken each second", 10)
    assert 0 <= ears.vital_signs.lags["event loop"] < 5


def test_what_is_there_at_the_start_is_heard_of_in_all_namespaces_or_in_those_asked_for(
    ears: Ears, control_plane: ControlPlane | GivenCluster, kube: KubeApi, namespace: str, api: Api
) -> None:
    other = f"{namespace}-other"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    make(kube, namespace)
    make(kube, other)
    with Listening(ears, control_plane.kubeconfig, []):
        ears.wait_for_key("add", f"{namespace}/handbook")
        ears.wait_for_key("add", f"{other}/handbook")
    ears.forget()
    with Listening(ears, control_plane.kubeconfig, [other]):
        ears.wait_for_key("add", f"{other}/handbook")
        make(kube, namespace, "second")
        make(kube, other, "second")
        ears.wait_for_key("add", f"{other}/second")
    assert {key for _, key in ears.heard} == {f"{other}/handbook", f"{other}/second"}
    api.delete(f"/api/v1/namespaces/{other}")


def test_after_the_api_server_was_killed_what_happens_is_heard_again(
    own_control_plane: ControlPlane, listening: ObjectEvents, ears: Ears, kube: KubeApi, namespace: str
) -> None:
    make(kube, namespace)
    ears.wait_for_key("add", f"{namespace}/handbook")
    for number in range(2):
        own_control_plane.kill_api_server()
        own_control_plane.start_api_server()
        make(kube, namespace, f"after-{number}")
        ears.wait_for_key("add", f"{namespace}/after-{number}")


def test_a_watcher_that_ended_without_a_word_is_told_of_and_begun_anew(
    listening: ObjectEvents, ears: Ears, kube: KubeApi, namespace: str
) -> None:
    until_watching(ears, kube, namespace)
    make(kube, namespace)
    ears.wait_for_key("add", f"{namespace}/handbook")
    ears.forget()
    end_watchers(listening)
    ears.wait_for(lambda: ears.failures == ["a watcher has ended"], seconds=10)
    ears.wait_for_key("add", f"{namespace}/handbook")
    make(kube, namespace, "afterwards")
    ears.wait_for_key("add", f"{namespace}/afterwards")
    ears.wait_for(lambda: ears.vital_signs.failing() == [])


def test_an_error_within_a_watch_is_told_of_and_the_watch_begun_anew(
    api_proxy: ApiProxy, ears: Ears, kube: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(**_: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is unwell"}}

    with Listening(ears, api_proxy.kubeconfig, [namespace]):
        until_watching(ears, kube, namespace)
        with monkeypatch.context() as patched:
            patched.setattr("kopf._cogs.clients.watching.watch_objs", refused)
            api_proxy.cut()
            ears.wait_for(lambda: ears.failures == ["a watcher has ended"], seconds=10)
        make(kube, namespace, "afterwards")
        ears.wait_for_key("add", f"{namespace}/afterwards")


def until_watching(ears: Ears, kube: KubeApi, namespace: str) -> None:
    """What the first list shows proves no watch; what comes after it does."""
    until = time.monotonic() + 30  # the watches are looked at each second
    for number in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count()):
        make(kube, namespace, f"probe-{number}")
        ears.wait_for_key("add", f"{namespace}/probe-{number}")
        if ears.beats:
            return
    raise AssertionError("nothing came on the watch")


def end_watchers(listening: ObjectEvents) -> None:
    """As a time-out does that strikes while kopf waits for something else: without a word."""
    loop = running_loop(listening)

    def end() -> None:
        for task in asyncio.all_tasks(loop):
            if task.get_name().startswith("watcher for "):
                task.cancel()

    loop.call_soon_threadsafe(end)


def running_loop(listening: ObjectEvents) -> asyncio.AbstractEventLoop:
    end_run: Any = listening._end_run
    loop: asyncio.AbstractEventLoop = end_run.__closure__[0].cell_contents
    return loop


def test_without_the_definition_it_is_told_that_nothing_is_heard(
    control_plane: ControlPlane | GivenCluster, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kopf_source, "_TO_BEGIN", 3.0)
    monkeypatch.setattr(kopf_source, "_PLURAL", "ragunknowns")
    with Listening(ears, control_plane.kubeconfig, []):
        ears.wait_for(lambda: any("CustomResourceDefinition" in why for why in ears.failures))
        assert any("CustomResourceDefinition" in why for why in ears.vital_signs.failing())


def test_a_token_that_ran_out_is_read_anew(
    own_control_plane: ControlPlane,
    ears: Ears,
    kube: KubeApi,
    namespace: str,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kopf_session, "_BETWEEN_LOGINS", 0.5)
    grant(api, namespace)
    kubeconfig = own_control_plane.kubeconfig_for("default", namespace)
    good = kubeconfig.read_text()
    kubeconfig.write_text(good.replace('"token": "', '"token": "worn-out-'))
    assert kubeconfig.read_text() != good
    make(kube, namespace)
    with Listening(ears, kubeconfig, [namespace]):
        kubeconfig.write_text(good)
        ears.wait_for_key("add", f"{namespace}/handbook")


def grant(api: Api, namespace: str) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    metadata = {"name": "listener"}
    version = "rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": ["ragindex.io"], "resources": ["ragindexes"], "verbs": ["list", "watch"]}
    api.create(f"{rbac}/roles", {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": [rule]})
    binding = {
        "apiVersion": version,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "listener"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    api.create(f"{rbac}/rolebindings", binding)


@pytest.mark.long
def test_an_idle_watch_gives_signs_of_life(listening: ObjectEvents, ears: Ears) -> None:
    ears.wait_for(lambda: len(ears.beats) >= 4, seconds=150)
    assert ears.failures == []
    assert ears.vital_signs.failing() == []


@pytest.mark.long
def test_a_silent_watch_is_told_of_within_ninety_seconds_and_what_it_missed_is_heard(
    api_proxy: ApiProxy, ears: Ears, kube: KubeApi, namespace: str
) -> None:
    with Listening(ears, api_proxy.kubeconfig, [namespace]):
        make(kube, namespace)
        ears.wait_for_key("add", f"{namespace}/handbook")
        api_proxy.silence_watches()
        make(kube, namespace, "unheard")
        ears.wait_for(lambda: ears.failures, seconds=90)
        ears.wait_for_key("add", f"{namespace}/unheard")  # by the list that follows
        api_proxy.let_watches_speak()
        suspend(kube, namespace)
        ears.wait_for(lambda: ears.heard.count(("add", f"{namespace}/handbook")) >= 3)
        assert ears.vital_signs.failing() == []
