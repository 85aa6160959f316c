"""Which key is to be looked at when. Neither threads nor a clock: times are given, so that every order can be tried."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

_FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0


@dataclass(slots=True)
class Schedule:
    """Each key is due once at most, at the soonest time it was asked for, and never runs twice at once."""

    #: Seconds after which a key is looked at though nothing happened, give or take a half.
    resync: float
    #: A number of [0, 1).
    uniform: Callable[[], float] = random.random
    _due: dict[str, float] = field(default_factory=dict)
    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _running: set[str] = field(default_factory=set)
    _forgotten: set[str] = field(default_factory=set)  # while they ran
    _failures: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, at: float) -> None:
        """The sooner wins. While the key runs it waits for the end of that."""
        self._forgotten.discard(key)
        due = self._due.get(key)
        if due is None or at < due:
            self._due[key] = at
            if key not in self._running:
                self._push(key)

    def take(self, now: float) -> str | None:
        """The key that is due longest; it runs until ``done`` or ``failed``."""
        at = self.next_at()
        if at is None or at > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._running.add(key)
        return key

    def done(self, key: str, now: float, again_in: float | None) -> None:
        """It went well: to be looked at again when it says, at the latest when everything is."""
        self._failures.pop(key, None)
        resync = self.resync * (0.5 + self.uniform())
        self._ended(key, now + (resync if again_in is None else min(again_in, resync)))

    def failed(self, key: str, now: float, at_least: float = 0.0, at_most: float = LONGEST_PAUSE) -> None:
        """To be tried again after a random share of a pause that doubles."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures, 30), at_most) * self.uniform()
        self._ended(key, now + max(pause, at_least))

    def reset(self, key: str) -> None:
        """Its next failure counts as the first: the object is another one."""
        self._failures.pop(key, None)

    def forget(self, key: str) -> None:
        """Not to be looked at again, unless it is added anew."""
        self._failures.pop(key, None)
        self._due.pop(key, None)
        if key in self._running:
            self._forgotten.add(key)

    def next_at(self) -> float | None:
        """When the next key is due that does not run."""
        while self._heap and not self._stands(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def waiting(self, now: float) -> list[float]:
        """Since when each key has been due that nobody has taken."""
        return [at for key, at in self._due.items() if at <= now and key not in self._running]

    def _ended(self, key: str, again_at: float) -> None:
        self._running.remove(key)
        if key in self._forgotten:
            self._forgotten.remove(key)
            self._failures.pop(key, None)
            return
        self._due[key] = min(again_at, self._due.get(key, again_at))
        self._push(key)

    def _push(self, key: str) -> None:
        heapq.heappush(self._heap, (self._due[key], next(self._order), key))

    def _stands(self, entry: tuple[float, int, str]) -> bool:
        """Whether nothing sooner came, and the key neither ran nor was forgotten since."""
        at, _, key = entry
        return key not in self._running and self._due.get(key) == at
