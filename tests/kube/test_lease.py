"""Leadership over a Lease of a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from tests.kube.harness.api import Api
from tests.kube.harness.control_plane import ControlPlane, GivenCluster

from ragindex_operator.cluster.api import KubeApi, leases
from ragindex_operator.cluster.connection import Connection
from ragindex_operator.cluster.lease import Leadership, Times

SOON = 30.0
NAME = "ragindex-operator"
#: Ten times as fast as in life.
QUICK = Times(duration=3.0, renew_every=0.5, margin=0.5, look_every=0.2)


@pytest.fixture
def kube(control_plane: ControlPlane | GivenCluster) -> KubeApi:
    return KubeApi(Connection.found(control_plane.kubeconfig))


class Contender:
    """One operator that tries to lead, on a thread of its own."""

    def __init__(self, kube: KubeApi, namespace: str, times: Times = QUICK) -> None:
        self.lost = threading.Event()
        self.leads = threading.Event()
        self.leadership = Leadership(kube, namespace, NAME, self.lost.set, times=times)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._acquire)
        self._thread.start()

    def _acquire(self) -> None:
        if self.leadership.acquire(self._stop):
            self.leads.set()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self.leadership.release()


@pytest.fixture
def contenders(kube: KubeApi, namespace: str) -> Iterator[list[Contender]]:
    """The first leads already, the second waits."""
    both = [Contender(kube, namespace)]
    try:
        assert both[0].leads.wait(SOON)
        both.append(Contender(kube, namespace))
        yield both
    finally:
        for each in both:
            each.end()


def test_the_next_leads_at_once_when_the_first_lets_go(contenders: list[Contender], kube: KubeApi) -> None:
    first, second = contenders
    assert not second.leads.wait(4.0), "renewed, it is not taken though more than its time has passed"
    assert first.leadership.still_held()
    first.leadership.release()
    released = time.monotonic()
    assert second.leads.wait(SOON)
    assert time.monotonic() - released < 2.0
    assert second.leadership.still_held()
    assert not first.leadership.held


def test_a_holder_whose_lease_another_wrote_is_told_that_it_is_lost(
    contenders: list[Contender], kube: KubeApi, namespace: str
) -> None:
    first, _ = contenders
    operation = {"op": "replace", "path": "/spec/holderIdentity", "value": "somebody"}
    kube.patch(leases(namespace, NAME), [operation])
    assert not first.leadership.still_held()
    assert first.lost.wait(SOON)
    assert not first.leadership.held


def test_while_nothing_changes_renewing_is_all_it_writes(kube: KubeApi, namespace: str) -> None:
    one = Contender(kube, namespace)
    try:
        assert one.leads.wait(SOON)
        before = kube.requests_made
        time.sleep(2.2)
        made = {verb: count - before.get(verb, 0) for verb, count in kube.requests_made.items()}
    finally:
        one.end()
    assert {verb for verb, count in made.items() if count} == {"update"}
    assert 2 <= made["update"] <= 5


def test_an_api_server_that_is_away_for_less_than_the_lease_lasts_takes_nothing(
    own_control_plane: ControlPlane, api: Api, namespace: str
) -> None:
    one = Contender(KubeApi(Connection.found(own_control_plane.kubeconfig)), namespace, Times(renew_every=0.5))
    try:
        assert one.leads.wait(SOON)
        own_control_plane.kill_api_server()
        time.sleep(3.0)  # several renewals fail
        assert one.leadership.held
        own_control_plane.start_api_server()
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
        before = api.get(path)["spec"]["renewTime"]
        api.until(path, lambda item: item and item["spec"]["renewTime"] != before)
        assert not one.lost.is_set()
        assert one.leadership.still_held()
    finally:
        one.end()
