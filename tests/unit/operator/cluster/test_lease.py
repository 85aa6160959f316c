"""One holder at a time, by each one's own clock, whatever the network and the others do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ragindex_operator.cluster.api import ApiUnavailable, KubeApi
from ragindex_operator.cluster.connection import Answer, Connection
from ragindex_operator.cluster.lease import Leadership, Times

SOON = 10.0


class Clock:
    now = 5000.0

    def __call__(self) -> float:
        return self.now


class Leases(Connection):
    """As much of an API server as keeps one Lease, with its versions."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False
        self.before_write: Callable[[], None] = lambda: None

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content_type: str = "application/json"
    ) -> Answer:
        if self.away:
            raise ApiUnavailable("away")
        if method == "GET":
            return _said(200, self.lease) if self.lease else _said(404, _refusal("NotFound"))
        before, self.before_write = self.before_write, lambda: None
        before()
        if method == "POST":
            if self.lease is not None:
                return _said(409, _refusal("AlreadyExists"))
        elif self.lease is None:
            return _said(404, _refusal("NotFound"))
        elif self.lease["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            return _said(409, _refusal("Conflict"))
        self.write(body)
        return _said(200, self.lease)

    def write(self, body: dict[str, Any]) -> None:
        self.version += 1
        about = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**body, "metadata": about}

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])


def _said(status: int, body: Any) -> Answer:
    return Answer(status, {}, json.dumps(body).encode())


def _refusal(reason: str) -> dict[str, str]:
    return {"kind": "Status", "reason": reason, "message": "because"}


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lost() -> threading.Event:
    return threading.Event()


@pytest.fixture
def one(leases: Leases, clock: Clock, lost: threading.Event) -> Leadership:
    return Leadership(KubeApi(leases), "release", "ragindex-operator", lost.set, clock=clock)


@pytest.fixture
def other(leases: Leases, clock: Clock) -> Leadership:
    return Leadership(KubeApi(leases), "release", "ragindex-operator", lambda: None, clock=clock)


def test_who_comes_first_makes_it_and_the_next_waits(one: Leadership, other: Leadership, leases: Leases) -> None:
    assert one._try()
    assert leases.holder == one.identity
    assert one.held
    assert not other._try()
    assert not other.held


def test_who_is_asked_to_stop_waits_no_longer(one: Leadership, other: Leadership) -> None:
    assert one._try()
    stop = threading.Event()
    stop.set()
    assert not other.acquire(stop)


def test_it_is_taken_over_when_it_stood_still_for_its_time(
    one: Leadership, other: Leadership, leases: Leases, clock: Clock
) -> None:
    assert one._try()
    assert not other._try()
    clock.now += 29.9
    assert not other._try()
    clock.now += 0.2
    assert not one.held, "the former holder has ended before"
    assert other._try()
    assert leases.holder == other.identity
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 1


def test_whoever_first_sees_it_counts_from_then_however_old_it_says_it_is(
    one: Leadership, other: Leadership, clock: Clock
) -> None:
    assert one._try()
    clock.now += 500
    assert not other._try()
    clock.now += 30
    assert other._try()


def test_a_renewed_one_is_not_taken_over(one: Leadership, other: Leadership, clock: Clock) -> None:
    assert one._try()
    for _ in range(6):
        assert not other._try()
        clock.now += 10
        assert one._renew()
        assert one.held
    clock.now += 24
    assert one.held
    clock.now += 1
    assert not one.held, "it ends five seconds before another may begin"


def test_of_two_who_take_it_over_one_gets_it(
    one: Leadership, other: Leadership, leases: Leases, clock: Clock, lost: threading.Event
) -> None:
    third = Leadership(KubeApi(leases), "release", "ragindex-operator", lost.set, clock=clock)
    assert one._try()
    assert not other._try()
    assert not third._try()
    clock.now += 31
    leases.before_write = lambda: _must(third._try())
    assert not other._try()
    assert leases.holder == third.identity
    assert not other.held


def _must(done: bool) -> None:
    assert done


def test_a_released_one_is_taken_at_once(one: Leadership, other: Leadership) -> None:
    assert one.acquire(threading.Event())
    assert not other._try()
    one.release()
    assert not one.held
    assert other._try()


def test_who_lost_it_is_told_so_and_takes_nothing_back(
    one: Leadership, other: Leadership, clock: Clock, leases: Leases
) -> None:
    assert one._try()
    assert not other._try()
    clock.now += 31
    assert other._try()
    assert not one._renew()
    assert not one.still_held()
    one.release()
    assert leases.holder == other.identity, "a stale release takes nothing from the new holder"


def test_who_was_stopped_for_too_long_does_not_renew_though_it_could(
    leases: Leases, clock: Clock, lost: threading.Event
) -> None:
    times = Times(renew_every=0.01)
    one = Leadership(KubeApi(leases), "release", "ragindex-operator", lost.set, times=times, clock=clock)
    assert one._try()
    clock.now += 90
    version = leases.version
    one._keep()
    assert lost.is_set()
    assert leases.version == version
    assert not one.held


def test_who_lost_it_to_nobody_need_not_wait_for_itself(one: Leadership, leases: Leases, clock: Clock) -> None:
    assert one._try()
    clock.now += 26
    assert not one.held, "the API server was away for too long"
    again = Leadership(
        KubeApi(leases), "release", "ragindex-operator", lambda: None, identity=one.identity, clock=clock
    )
    assert again._try()
    assert again.still_held()


def test_an_api_server_that_is_away_for_a_moment_takes_nothing(one: Leadership, leases: Leases, clock: Clock) -> None:
    assert one._try()
    leases.away = True
    clock.now += 20
    assert one._renew()
    assert one.held
    with pytest.raises(ApiUnavailable):
        one.still_held()
    clock.now += 5
    assert not one.held
    leases.away = False


def test_a_label_that_a_person_puts_on_it_takes_nothing(one: Leadership, leases: Leases, clock: Clock) -> None:
    assert one._try()
    assert leases.lease is not None
    labelled = {**leases.lease, "metadata": {**leases.lease["metadata"], "labels": {"team": "platform"}}}
    leases.write(labelled)
    clock.now += 10
    assert one._renew()
    assert one.still_held()
    assert leases.lease["metadata"]["labels"] == {"team": "platform"}


def test_one_that_was_deleted_is_lost(one: Leadership, leases: Leases) -> None:
    assert one._try()
    leases.lease = None
    assert not one._renew()
