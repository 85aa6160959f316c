"""When a provider is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.errors import ProviderRefused, Throttled, Unavailable
from ragindex_providers.retry import Retrier, RetryPolicy, delay_seconds, parse_retry_after

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
shares = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 50),
    base_seconds=st.floats(0.01, 5),
    cap_seconds=st.floats(0.01, 60),
    longest_retry_after_seconds=st.floats(0, 600),
)


@given(policies, st.integers(1, 10_000), shares)
def test_a_wait_is_never_longer_than_its_doubling_bound_or_the_cap(policy: RetryPolicy, n: int, share: float) -> None:
    delay = delay_seconds(policy, n, None, lambda: share)
    if delay is None:
        assert n >= policy.attempts
    else:
        assert 0 <= delay <= min(policy.cap_seconds, policy.base_seconds * 2 ** (n - 1))


@given(policies, st.floats(-10, 1_000), shares)
def test_the_providers_own_wait_is_kept_unless_it_is_too_long(policy: RetryPolicy, asked: float, share: float) -> None:
    delay = delay_seconds(policy, 1, asked, lambda: share)
    if delay is None:
        assert asked > policy.longest_retry_after_seconds or policy.attempts == 1
    else:
        assert max(0.0, asked) <= delay <= max(0.0, asked) + policy.base_seconds


@given(policies, st.integers(1, 60), st.none() | st.floats(0, 10), shares)
def test_attempts_are_bounded(policy: RetryPolicy, n: int, asked: float | None, share: float) -> None:
    assert n < policy.attempts or delay_seconds(policy, n, asked, lambda: share) is None


HEADERS: list[Any] = [
    ("0", 0.0),
    ("7", 7.0),
    ("1.5", 1.5),
    ("-3", 0.0),
    (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
    (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
    ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
    ("soon", None),
    ("", None),
    ("nan", None),
    ("inf", None),
    (None, None),
]


@pytest.mark.parametrize(("header", "seconds"), HEADERS)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.text())
def test_no_header_breaks_the_reading_of_it(header: str) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds >= 0


class Attempts:
    def __init__(self, *outcomes: Exception | str) -> None:
        self._outcomes = list(outcomes)

    def __call__(self) -> str:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_what_passes_is_waited_for_and_tried_again() -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    retrier = Retrier(RetryPolicy(), waiter=wait, uniform=lambda: 0.5)
    assert retrier.call(Attempts(Unavailable("x"), Throttled("y", 3), Unavailable("z"), "done")) == "done"
    assert waits == [0.25, 3.25, 1.0]


def test_what_does_not_pass_is_not_tried_again() -> None:
    attempts = Attempts(ProviderRefused("no"), "never")
    with pytest.raises(ProviderRefused):
        Retrier(RetryPolicy()).call(attempts)


def test_the_last_failure_is_raised_when_the_attempts_are_used_up() -> None:
    retrier = Retrier(RetryPolicy(attempts=2), waiter=lambda _seconds: False)
    with pytest.raises(Unavailable, match="second"):
        retrier.call(Attempts(Unavailable("first"), Unavailable("second"), "never"))


def test_closing_ends_the_waiting() -> None:
    retrier = Retrier(RetryPolicy(base_seconds=1_000, cap_seconds=1_000), uniform=lambda: 0.9)
    retrier.close()
    with pytest.raises(Unavailable):
        retrier.call(Attempts(Unavailable("x"), "never"))
