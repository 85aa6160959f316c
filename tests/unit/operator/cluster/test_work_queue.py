"""The queue's threads do what its schedule says, and an error of one look stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from queue import Queue

import pytest

from ragindex_core.errors import Unavailable
from ragindex_operator.cluster.work_queue import Look, WorkQueue

SOON = 10.0


@contextmanager
def running(
    handle: Callable[[str], timedelta | None], workers: int = 4, looked: Callable[[Look], None] = lambda _look: None
) -> Iterator[WorkQueue]:
    queue = WorkQueue(handle, workers=workers, looked=looked, uniform=lambda: 0.0)
    queue.start()
    try:
        yield queue
    finally:
        assert queue.stop(timeout=SOON)


def test_a_key_never_runs_twice_at_once_and_none_is_lost() -> None:
    at_work: set[str] = set()
    looks: Queue[str] = Queue()
    overlapped = threading.Event()

    def handle(key: str) -> None:
        if key in at_work:
            overlapped.set()
        at_work.add(key)
        looks.put(key)
        at_work.discard(key)

    keys = [f"team/{number}" for number in range(20)]
    with running(handle, workers=8) as queue:
        for _ in range(50):
            for key in keys:
                queue.add(key)
        seen: set[str] = set()
        while seen < set(keys):
            seen.add(looks.get(timeout=SOON))
    assert not overlapped.is_set()


def test_what_is_added_while_it_runs_is_looked_at_again_afterwards() -> None:
    begun: Queue[str] = Queue()
    go_on = threading.Event()

    def handle(key: str) -> None:
        begun.put(key)
        assert go_on.wait(SOON)

    with running(handle) as queue:
        queue.add("a/one")
        begun.get(timeout=SOON)
        queue.add("a/one")
        queue.add("a/one")
        assert queue.depth == 0, "it runs, and the next time waits for that"
        assert begun.empty()
        go_on.set()
        begun.get(timeout=SOON)
    assert begun.empty(), "two additions while it ran are one more look"


def test_another_key_does_not_wait_for_one_that_takes_long() -> None:
    other = threading.Event()

    def handle(key: str) -> None:
        if key == "slow/one":
            assert other.wait(SOON)
        else:
            other.set()

    with running(handle, workers=2) as queue:
        queue.add("slow/one")
        queue.add("quick/one")
        assert other.wait(SOON)


def test_a_look_says_when_the_next_is_due() -> None:
    looks: Queue[str] = Queue()

    def handle(key: str) -> timedelta | None:
        looks.put(key)
        return timedelta(milliseconds=20)

    with running(handle) as queue:
        queue.add("a/one")
        for _ in range(3):
            looks.get(timeout=SOON)


def test_a_failed_look_is_made_again_and_told_of() -> None:
    told: Queue[Look] = Queue()
    errors = [Unavailable("the database is away"), ZeroDivisionError("a fault of ours")]

    def handle(_key: str) -> None:
        if errors:
            raise errors.pop(0)

    with running(handle, looked=told.put) as queue:
        queue.add("a/one")
        reasons = [type(told.get(timeout=SOON).error).__name__ for _ in range(3)]
    assert reasons == ["Unavailable", "ZeroDivisionError", "NoneType"]


@pytest.mark.parametrize(
    ("error", "pauses"),
    [(Unavailable("away"), [1, 2, 4, 8, 15, 15]), (ZeroDivisionError("a fault of ours"), [1, 2, 4, 8, 16, 32])],
)
def test_what_passes_by_itself_is_tried_again_sooner(error: Exception, pauses: list[int]) -> None:
    now = [0.0]

    def handle(_key: str) -> None:
        raise error

    queue = WorkQueue(handle, clock=lambda: now[0], uniform=lambda: 1.0)
    queue.add("a/one")
    found = []
    for _ in pauses:
        key = queue._next()
        assert key is not None
        queue._look_at(key)
        at = queue._schedule.next_at()
        assert at is not None
        found.append(at - now[0])
        now[0] = at
    assert found == pauses


def test_a_look_may_say_that_its_object_is_gone() -> None:
    looked = threading.Event()
    queue: WorkQueue

    def handle(key: str) -> timedelta:
        queue.forget(key)
        return timedelta()

    with running(handle, looked=lambda _look: looked.set()) as queue:
        queue.add("a/one")
        assert looked.wait(SOON)
        assert queue.depth == 0


def test_depth_and_wait_are_of_what_nobody_has_taken() -> None:
    now = 100.0
    queue = WorkQueue(lambda _key: None, clock=lambda: now)
    queue.add("a/one")
    queue.add_after("a/two", timedelta(seconds=5))
    queue.add_after("a/three", timedelta(seconds=50))
    now = 107.0
    assert queue.depth == 2
    assert queue.oldest_wait == timedelta(seconds=7)
    assert WorkQueue(lambda _key: None).oldest_wait == timedelta()


def test_stopping_waits_for_what_runs_and_begins_nothing_more() -> None:
    begun, go_on, looks = threading.Event(), threading.Event(), []

    def handle(key: str) -> None:
        looks.append(key)
        begun.set()
        assert go_on.wait(SOON)

    queue = WorkQueue(handle, workers=1)
    queue.start()
    queue.add("a/one")
    assert begun.wait(SOON)
    queue.add("a/two")
    assert not queue.stop(timeout=0.05)
    go_on.set()
    assert queue.stop(timeout=SOON)
    assert looks == ["a/one"]
