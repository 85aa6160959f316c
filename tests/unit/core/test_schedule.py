"""When a schedule fires, across changes of the clock too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.schedule import Schedule, expression_problem, time_zone_problem

BERLIN = Schedule("30 2 * * *", "Europe/Berlin")


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_the_time_zone_decides_when() -> None:
    assert Schedule("0 9 * * *", "Asia/Tokyo").next_after(utc(1, 5, 1)) == utc(1, 6, 0)
    assert Schedule("0 9 * * *", "Etc/UTC").next_after(utc(1, 5, 1)) == utc(1, 5, 9)


def test_an_hour_that_the_clock_skips_fires_after_the_jump() -> None:
    assert BERLIN.next_after(utc(3, 28, 12)) == utc(3, 29, 1)  # 02:30 does not exist; 03:00 summer time does
    assert BERLIN.next_after(utc(3, 29, 1)) == utc(3, 30, 0, 30)


def test_an_hour_that_the_clock_repeats_fires_once() -> None:
    first = BERLIN.next_after(utc(10, 24, 12))
    assert first == utc(10, 25, 0, 30)
    assert BERLIN.next_after(first) == utc(10, 26, 1, 30)


@given(
    since=st.integers(0, 2 * 365 * 24 * 3600).map(lambda seconds: utc(1, 1, 0) + timedelta(seconds=seconds)),
    minutes=st.integers(0, 3000),
    zone=st.sampled_from(["Etc/UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    expression=st.sampled_from(["*/30 * * * *", "0 3 * * *", "15 2 * * 1-5", "0 */6 * * *"]),
)
def test_due_means_that_a_firing_lies_between(since: datetime, minutes: int, zone: str, expression: str) -> None:
    schedule = Schedule(expression, zone)
    firing = schedule.next_after(since)
    assert firing > since
    now = since + timedelta(minutes=minutes)
    assert schedule.due(since, now) == (firing <= now)


@pytest.mark.parametrize("expression", ["*/30 * * * *", "0 3 * * *", "0 9-17/2 1,15 * *", "0 0 * JAN-MAR MON-FRI"])
def test_common_expressions_are_fine(expression: str) -> None:
    assert expression_problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param("*/30 * * *", "five fields", id="four fields"),
        pytest.param("0 */30 * * * *", "five fields", id="seconds"),
        pytest.param("60 * * * *", "minute", id="minute out of range"),
        pytest.param("0 24 * * *", "hour", id="hour out of range"),
        pytest.param("0 0 30 2 *", "day of month", id="30 February"),
        pytest.param("0 0 L * *", "last day", id="last day of the month"),
        pytest.param("0 0 * * 5L", "last weekday", id="last Friday"),
        pytest.param("0 0 * * 7", "Sunday as 0", id="Sunday as 7"),
        pytest.param("0 0 * * 1#2", "n-th weekday", id="second Monday"),
        pytest.param("0 0 */2 * 1", "disagree", id="two day fields that readers join differently"),
        pytest.param("a * * * *", "minute", id="not a number"),
    ],
)
def test_what_readers_of_cron_would_not_agree_on_is_refused(expression: str, said: str) -> None:
    problem = expression_problem(expression)
    assert problem is not None
    assert said in problem


@pytest.mark.parametrize("zone", ["Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_time_zones_of_the_database_are_fine(zone: str) -> None:
    assert time_zone_problem(zone) is None


@pytest.mark.parametrize("zone", ["Europe/Berlln", "../etc/passwd", "Mars/Olympus", "Europe"])
def test_other_time_zones_are_not(zone: str) -> None:
    assert "IANA" in (time_zone_problem(zone) or "")
