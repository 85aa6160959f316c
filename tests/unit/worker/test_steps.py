"""Steps go on until they say that they are done, or somebody says stop; what goes wrong in one is tried again."""

from __future__ import annotations

import threading

import pytest

from ragindex_core.errors import Unavailable
from ragindex_worker.steps import Steps

FOR_EVER = 3600.0


def test_steps_follow_each_other_until_one_is_the_last() -> None:
    pauses = iter([0.0, 0.001, None])
    assert Steps().repeat(lambda: next(pauses))
    assert next(pauses, "all taken") == "all taken"


@pytest.mark.parametrize("trouble", [Unavailable("away", retry_after_seconds=0.001), ValueError("a bug")])
def test_a_step_that_fails_is_done_again(trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragindex_worker.steps._AFTER_TROUBLE", 0.001)
    troubles = [trouble]

    def step() -> float | None:
        if troubles:
            raise troubles.pop()
        return None

    assert Steps().repeat(step)


def waiting(steps: Steps, ends: list[bool]) -> threading.Thread:
    """A thread that has taken the first of two steps, and would pause for ever were it not woken."""
    begun = threading.Event()

    def step() -> float | None:
        if begun.is_set():
            return None
        begun.set()
        return FOR_EVER

    thread = threading.Thread(target=lambda: ends.append(steps.repeat(step)))
    thread.start()
    assert begun.wait(10)
    return thread


def test_a_signal_cuts_the_pause_short() -> None:
    steps, ends = Steps(), list[bool]()
    thread = waiting(steps, ends)
    steps.wake()
    thread.join(10)
    assert ends == [True]


def test_a_stop_ends_it_before_it_is_done() -> None:
    steps, ends = Steps(), list[bool]()
    thread = waiting(steps, ends)
    steps.stop()
    thread.join(10)
    assert ends == [False]


def test_a_signal_during_a_step_is_not_lost() -> None:
    steps, taken = Steps(), list[int]()

    def step() -> float | None:
        taken.append(1)
        steps.wake()
        return None if len(taken) == 3 else FOR_EVER

    assert steps.repeat(step)


def test_one_that_was_stopped_takes_no_step() -> None:
    steps = Steps()
    steps.stop()
    assert not steps.repeat(lambda: pytest.fail("it took one"))
    assert steps.wait(FOR_EVER)
