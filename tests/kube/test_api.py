"""What the operator's way to the API server relies on, shown by a real one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from tests.kube.harness.api_proxy import ApiProxy
from tests.kube.harness.control_plane import ControlPlane, GivenCluster

from ragindex_operator.cluster.api import (
    AlreadyExists,
    ApiUnavailable,
    Conflict,
    Forbidden,
    KubeApi,
    NotThere,
    Refused,
    config_maps,
)
from ragindex_operator.cluster.connection import Connection

SOON = 20.0


@pytest.fixture
def kube(control_plane: ControlPlane | GivenCluster) -> KubeApi:
    return KubeApi(Connection.found(control_plane.kubeconfig))


def config_map(name: str = "notes", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_an_object_is_made_changed_and_deleted_once(kube: KubeApi, namespace: str) -> None:
    path = config_maps(namespace, "notes")
    with pytest.raises(NotThere):
        kube.get(path)
    made = kube.create(config_maps(namespace), config_map(a="1"))
    with pytest.raises(AlreadyExists):
        kube.create(config_maps(namespace), config_map())
    kube.replace(path, {**made, "data": {"a": "2"}})
    with pytest.raises(Conflict):
        kube.replace(path, {**made, "data": {"a": "3"}})
    assert kube.get(path)["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        kube.delete(path, uid="another")
    kube.delete(path, uid=made["metadata"]["uid"])
    with pytest.raises(NotThere):
        kube.delete(path)


def test_what_is_applied_is_ours_and_what_others_set_stays(kube: KubeApi, namespace: str) -> None:
    path = config_maps(namespace, "notes")
    kube.create(config_maps(namespace), config_map(theirs="1", ours="1"))
    assert kube.apply(path, config_map(ours="2", more="2"))["data"] == {"theirs": "1", "ours": "2", "more": "2"}
    assert kube.apply(path, config_map(ours="3"))["data"] == {"theirs": "1", "ours": "3"}


def test_a_patch_that_does_not_fit_the_object_as_it_is_is_a_conflict(kube: KubeApi, namespace: str) -> None:
    path = config_maps(namespace, "notes")
    made = kube.create(config_maps(namespace), config_map(a="1"))
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": made["metadata"]["resourceVersion"]}
    assert kube.patch(path, [version, {"op": "replace", "path": "/data/a", "value": "2"}])["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        kube.patch(path, [version, {"op": "replace", "path": "/data/a", "value": "3"}])
    with pytest.raises(Conflict):
        kube.patch(path, [{"op": "remove", "path": "/metadata/finalizers/0"}])


def test_a_body_that_breaks_a_rule_is_refused_in_words(kube: KubeApi, namespace: str) -> None:
    with pytest.raises(Refused, match="RFC 1123") as caught:
        kube.create(config_maps(namespace), config_map("No_Name"))
    assert not isinstance(caught.value, Conflict)


def test_lists_longer_than_a_page_are_whole(kube: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragindex_operator.cluster.api._PAGE", "3")
    for number in range(8):
        body = config_map(f"notes-{number}")
        body["metadata"]["labels"] = {"half": str(number % 2)}
        kube.create(config_maps(namespace), body)
    items, version = kube.list(config_maps(namespace), "half=1")
    assert [item["metadata"]["name"] for item in items] == ["notes-1", "notes-3", "notes-5", "notes-7"]
    assert {(item["kind"], item["apiVersion"]) for item in items} == {("ConfigMap", "v1")}
    assert version.isdigit()


def test_a_watch_goes_on_from_a_list_and_ends_when_it_is_stopped(kube: KubeApi, namespace: str) -> None:
    _, version = kube.list(config_maps(namespace))
    watch = kube.watch(config_maps(namespace), version)
    heard: list[tuple[str, str]] = []
    second = threading.Event()

    def follow() -> None:
        for event in watch:
            if event["object"]["metadata"].get("name") == "notes":
                heard.append((event["type"], event["object"]["data"]["a"]))
            if len(heard) == 2:
                second.set()

    thread = threading.Thread(target=follow)
    thread.start()
    kube.create(config_maps(namespace), config_map(a="1"))
    kube.apply(config_maps(namespace, "notes"), config_map(a="2"))
    assert second.wait(SOON)
    watch.stop()
    thread.join(SOON)
    assert not thread.is_alive()
    assert heard == [("ADDED", "1"), ("MODIFIED", "2")]


def test_a_service_account_may_only_what_it_was_given(
    own_control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    kube = KubeApi(Connection.found(own_control_plane.kubeconfig_for("default", namespace)))
    with pytest.raises(Forbidden):
        kube.list(config_maps(namespace))


def test_new_credentials_are_read_when_the_old_ones_are_not_known(
    own_control_plane: ControlPlane, namespace: str
) -> None:
    path = own_control_plane.kubeconfig_for("default", namespace)
    good = path.read_text()
    path.write_text(good.replace('"token": "', '"token": "worn-out-'))
    assert path.read_text() != good
    kube = KubeApi(Connection.found(path))
    with pytest.raises(ApiUnavailable, match="does not know us"):
        kube.get(config_maps(namespace, "notes"))
    path.write_text(good)
    with pytest.raises(Forbidden):  # known, and not allowed
        kube.get(config_maps(namespace, "notes"))


def test_an_api_server_that_is_away_is_unavailable_and_a_cut_watch_too(
    own_control_plane: ControlPlane, api_proxy: ApiProxy, namespace: str
) -> None:
    kube = KubeApi(Connection.found(api_proxy.kubeconfig))
    _, version = kube.list(config_maps(namespace))
    watch = iter(kube.watch(config_maps(namespace), version))
    api_proxy.cut()
    with pytest.raises(ApiUnavailable):
        next(watch)
    own_control_plane.kill_api_server()
    with pytest.raises(ApiUnavailable):
        kube.list(config_maps(namespace))
