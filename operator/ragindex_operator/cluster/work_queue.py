"""The operator's own queue: keys "namespace/name", each looked at by one thread at a time, again after a failure, and
now and then though nothing happened."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from ragindex_core.errors import Unavailable
from ragindex_operator.cluster.schedule import LONGEST_PAUSE, Schedule

log = logging.getLogger(__name__)

#: Looks at a key; gives after how long time alone may bring something to do, None for never.
Handle: TypeAlias = Callable[[str], timedelta | None]

#: What was away comes back without a word, and the object has waited all the while.
_LONGEST_ABSENCE = 15.0


@dataclass(frozen=True, slots=True)
class Look:
    """One call of the handler, for whoever counts."""

    key: str
    seconds: float
    error: Exception | None


class WorkQueue:
    """``add`` may be called from any thread, also by the handler. ``passing``: what passes by itself, and soon.
    ``looked`` is told of every look at a key."""

    def __init__(
        self,
        handle: Handle,
        *,
        workers: int = 8,
        resync: timedelta = timedelta(seconds=120),
        passing: tuple[type[Exception], ...] = (Unavailable,),
        looked: Callable[[Look], None] = lambda _look: None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._handle = handle
        self._passing = passing
        self._looked = looked
        self._clock = clock
        self._schedule = Schedule(resync.total_seconds(), uniform)
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"reconcile-{number}", daemon=True) for number in range(workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 25.0) -> bool:
        """Starts nothing more and waits for what runs; False when something still did at the time-out."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def add(self, key: str) -> None:
        self.add_after(key, timedelta())

    def add_after(self, key: str, delay: timedelta) -> None:
        """The sooner of this and what was asked before wins."""
        with self._changed:
            self._schedule.add(key, self._clock() + delay.total_seconds())
            self._changed.notify()

    def reset(self, key: str) -> None:
        """Forget its failures, as for a new generation of the object."""
        with self._changed:
            self._schedule.reset(key)

    def forget(self, key: str) -> None:
        """The object is gone: no look at it any more until it is added again."""
        with self._changed:
            self._schedule.forget(key)

    @property
    def depth(self) -> int:
        """Keys that are due and wait for a thread."""
        with self._changed:
            return len(self._schedule.waiting(self._clock()))

    @property
    def oldest_wait(self) -> timedelta:
        """How long the first of them has waited."""
        with self._changed:
            now = self._clock()
            return timedelta(seconds=now - min(self._schedule.waiting(now), default=now))

    def _work(self) -> None:
        while (key := self._next()) is not None:
            self._look_at(key)

    def _next(self) -> str | None:
        """The next key, waited for; None at the end."""
        with self._changed:
            while not self._stopping:
                now = self._clock()
                key = self._schedule.take(now)
                if key is not None:
                    return key
                at = self._schedule.next_at()
                self._changed.wait(None if at is None else at - now)
            return None

    def _look_at(self, key: str) -> None:
        started = self._clock()
        again: timedelta | None = None
        error: Exception | None = None
        try:
            again = self._handle(key)
        except self._passing as absence:
            error = absence
            log.warning("will look again", extra={"index": key, "why": str(error)})
        except Exception as unforeseen:
            error = unforeseen
            log.exception("cannot reconcile", extra={"index": key})
        ended = self._clock()
        with self._changed:
            if error is None:
                self._schedule.done(key, ended, None if again is None else again.total_seconds())
            else:
                at_least = getattr(error, "retry_after_seconds", None) or 0.0
                at_most = _LONGEST_ABSENCE if isinstance(error, self._passing) else LONGEST_PAUSE
                self._schedule.failed(key, ended, at_least, at_most)
            self._changed.notify()
        self._looked(Look(key, ended - started, error))
