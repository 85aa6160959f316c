"""When to try a provider again, decided apart from the waiting itself.

Waits grow with full jitter: a random share of a doubling bound, so that many workers that failed together do not come
back together. A provider that names its own wait is taken at its word, plus a little jitter for the same reason; one
that asks for longer than a call may last is not waited for here: the caller's queue can do that without holding a
document.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias, TypeVar

from ragindex_core.errors import Unavailable

T = TypeVar("T")

#: Waits that long; True when it was woken to stop instead. ``threading.Event().wait`` is one.
Waiter: TypeAlias = Callable[[float], bool]
#: A number of [0, 1), such as ``random.random``.
Uniform: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    attempts: int = 5
    base_seconds: float = 0.5
    cap_seconds: float = 20.0
    longest_retry_after_seconds: float = 5.0


def delay_seconds(policy: RetryPolicy, failures: int, retry_after: float | None, uniform: Uniform) -> float | None:
    """How long to wait after so many failures in a row; None to give up."""
    if failures >= policy.attempts:
        return None
    jitter = uniform()
    if retry_after is None:
        bound = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(failures - 1, 30))
        return jitter * bound
    if retry_after > policy.longest_retry_after_seconds:
        return None
    return max(0.0, retry_after) + jitter * policy.base_seconds


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header, which holds a number or an HTTP date; None when it says neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


class Retrier:
    """Calls again what may succeed later, and stops waiting at once when it is closed. Safe to share by threads."""

    def __init__(self, policy: RetryPolicy, *, waiter: Waiter | None = None, uniform: Uniform = random.random) -> None:
        self._policy = policy
        self._closed = threading.Event()
        self._wait = waiter or self._closed.wait
        self._uniform = uniform

    def call(self, attempt: Callable[[], T]) -> T:
        failures = 0
        while True:
            try:
                return attempt()
            except Unavailable as failure:
                failures += 1
                pause = delay_seconds(self._policy, failures, failure.retry_after_seconds, self._uniform)
                if pause is None or self._closed.is_set() or self._wait(pause):
                    raise

    def close(self) -> None:
        self._closed.set()
