"""Silence, lateness and known failures show in words, and go when life is heard of again."""

from __future__ import annotations

from ragindex_operator.cluster.vital_signs import VitalSigns


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_expected_has_time_to_be_heard_of_and_then_fails() -> None:
    clock = Clock()
    signs = VitalSigns(clock)
    signs.expect("jobs")
    clock.now += 90
    assert signs.failing() == []
    clock.now += 1
    assert signs.failing() == ["jobs: not heard of for 91 s"]
    assert signs.silence("jobs") == 91
    signs.beat("jobs")
    assert signs.failing() == []


def test_a_beat_of_what_nobody_expects_is_nothing() -> None:
    signs = VitalSigns(Clock())
    signs.beat("a stranger")
    assert signs.failing() == []
    assert signs.silence("a stranger") == 0


def test_a_known_failure_shows_at_once_until_it_goes_on() -> None:
    clock = Clock()
    signs = VitalSigns(clock)
    signs.expect("ragindexes")
    signs.fail("ragindexes", "a watcher has ended")
    assert signs.failing() == ["ragindexes: a watcher has ended"]
    signs.goes_on("ragindexes")
    assert signs.failing() == []
    clock.now += 91
    assert signs.failing() == ["ragindexes: not heard of for 91 s"], "begun anew is not yet alive"
    signs.fail("ragindexes", "kopf has ended")
    signs.beat("ragindexes")
    assert signs.failing() == []


def test_a_loop_fails_when_it_is_late_and_when_it_no_longer_tells() -> None:
    clock = Clock()
    signs = VitalSigns(clock)
    signs.lag("event loop", 0.2)
    assert signs.failing() == []
    assert signs.lags == {"event loop": 0.2}
    clock.now += 11
    assert signs.failing() == ["event loop: not heard of for 11 s"]
    signs.lag("event loop", 12.0)
    assert signs.failing() == ["event loop: 12 s late"]


def test_what_was_stopped_on_purpose_is_not_missed() -> None:
    clock = Clock()
    signs = VitalSigns(clock)
    signs.expect("jobs")
    signs.fail("jobs", "why")
    signs.lag("event loop", 20.0)
    signs.forget("jobs")
    signs.forget("event loop")
    clock.now += 1000
    assert signs.failing() == []
