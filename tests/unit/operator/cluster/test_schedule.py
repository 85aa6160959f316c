"""Every key that was added is looked at, by one at a time, at the soonest time it was asked for."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ragindex_operator.cluster.schedule import Schedule

RESYNC = 100.0
KEYS = st.sampled_from(["a/one", "a/two", "b/one"])
DELAYS = st.sampled_from([0.0, 0.5, 3.0, 40.0, 500.0])


def schedule(share: float = 0.5) -> Schedule:
    return Schedule(RESYNC, lambda: share)


class AnyOrder(RuleBasedStateMachine):
    """Beside the schedule goes what one would write on paper: when each key is due at the latest."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = schedule()
        self.now = 0.0
        self.due: dict[str, float] = {}
        self.running: set[str] = set()
        self.dropped: set[str] = set()  # forgotten while they ran

    @rule(key=KEYS, delay=DELAYS)
    def add(self, key: str, delay: float) -> None:
        self.schedule.add(key, self.now + delay)
        self.due[key] = min(self.due.get(key, self.now + delay), self.now + delay)
        self.dropped.discard(key)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.schedule.forget(key)
        self.due.pop(key, None)
        if key in self.running:
            self.dropped.add(key)

    @rule(seconds=DELAYS)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        key = self.schedule.take(self.now)
        ready = {key: at for key, at in self.due.items() if at <= self.now and key not in self.running}
        if key is None:
            assert not ready
            return
        assert key not in self.running, "twice at once"
        assert ready[key] == min(ready.values()), "one that is due longer was passed over"
        del self.due[key]
        self.running.add(key)

    @rule(key=KEYS, again=st.none() | DELAYS)
    def done(self, key: str, again: float | None) -> None:
        if key in self.running:
            self.schedule.done(key, self.now, again)
            self._ended(key, self.now + min(RESYNC if again is None else again, RESYNC))

    @rule(key=KEYS)
    def failed(self, key: str) -> None:
        if key in self.running:
            self.schedule.failed(key, self.now, at_least=7.0)
            self._ended(key, self.now + 300.0, exactly=False)

    def _ended(self, key: str, again_at: float, *, exactly: bool = True) -> None:
        self.running.remove(key)
        if key in self.dropped:
            self.dropped.remove(key)
            return
        latest = min(again_at, self.due.get(key, again_at))
        at = self.schedule._due[key]
        assert at == latest if exactly else at <= latest
        self.due[key] = at

    @invariant()
    def nothing_is_lost(self) -> None:
        waiting = {key: at for key, at in self.due.items() if key not in self.running}
        assert self.schedule.next_at() == min(waiting.values(), default=None)
        assert sorted(self.schedule.waiting(self.now)) == sorted(at for at in waiting.values() if at <= self.now)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_the_sooner_wins() -> None:
    one = schedule()
    one.add("a/one", 50.0)
    one.add("a/one", 10.0)
    one.add("a/one", 30.0)
    assert one.take(9.9) is None
    assert one.take(10.0) == "a/one"
    assert one.take(60.0) is None


def test_what_is_added_while_it_runs_waits_for_the_end_of_that() -> None:
    one = schedule()
    one.add("a/one", 0.0)
    assert one.take(0.0) == "a/one"
    one.add("a/one", 1.0)
    assert one.take(2.0) is None
    one.done("a/one", 3.0, again_in=None)
    assert one.take(3.0) == "a/one"


def test_pauses_after_failures_double_up_to_five_minutes_and_begin_anew_after_a_success_or_a_new_generation() -> None:
    one = schedule(share=1.0)
    one.add("a/one", 0.0)
    now, pauses = 0.0, []
    for _ in range(11):
        assert one.take(now) == "a/one"
        one.failed("a/one", now)
        at = one.next_at()
        assert at is not None
        pauses.append(at - now)
        now = at
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    one.reset("a/one")
    assert pause_after_failure(one, now) == 1
    assert pause_after_failure(one, now + 1) == 2
    assert one.take(now + 3) == "a/one"
    one.done("a/one", now + 3, again_in=0.0)
    assert pause_after_failure(one, now + 3) == 1


def pause_after_failure(one: Schedule, now: float) -> float:
    assert one.take(now) == "a/one"
    one.failed("a/one", now)
    at = one.next_at()
    assert at is not None
    return at - now


def test_who_says_when_to_come_back_is_taken_at_its_word() -> None:
    one = schedule(share=0.0)
    one.add("a/one", 0.0)
    one.take(0.0)
    one.failed("a/one", 5.0, at_least=20.0)
    assert one.next_at() == 25.0


@pytest.mark.parametrize(("share", "at"), [(0.0, 50.0), (0.999, 149.9)])
def test_everything_is_looked_at_now_and_then_but_not_all_at_once(share: float, at: float) -> None:
    one = schedule(share)
    one.add("a/one", 0.0)
    one.take(0.0)
    one.done("a/one", 0.0, again_in=None)
    assert one.next_at() == pytest.approx(at)


def test_what_passes_soon_is_tried_again_soon_however_long_it_lasted() -> None:
    one = schedule(share=1.0)
    one.add("a/one", 0.0)
    now, pauses = 0.0, []
    for _ in range(6):
        assert one.take(now) == "a/one"
        one.failed("a/one", now, at_most=5.0)
        at = one.next_at()
        assert at is not None
        pauses.append(at - now)
        now = at
    assert pauses == [1, 2, 4, 5, 5, 5]
    one.take(now)
    one.failed("a/one", now, at_least=9.0, at_most=5.0)
    assert one.next_at() == now + 9.0, "but not before it was asked to"


def test_what_is_gone_is_not_looked_at_again() -> None:
    one = schedule()
    one.add("a/one", 0.0)
    one.take(0.0)
    one.forget("a/one")
    one.done("a/one", 1.0, again_in=None)
    assert one.next_at() is None
    one.add("a/one", 2.0)
    assert one.take(2.0) == "a/one"
