"""Whether what ought to go on by itself still does: who was heard of when, and how late the event loop is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_SILENCE = 90.0
_LATENESS = 10.0


@dataclass(slots=True)
class _Sign:
    within: float
    heard_at: float


@dataclass(slots=True)
class VitalSigns:
    """Thread-safe. What is expected is alive from the moment it is expected, and until its time is over."""

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _signs: dict[str, _Sign] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)
    _lags: dict[str, float] = field(default_factory=dict)

    def expect(self, name: str, within: float = _SILENCE) -> None:
        """From now on it must be heard of at least every ``within`` seconds."""
        with self._lock:
            self._signs[name] = _Sign(within, self.clock())

    def beat(self, name: str) -> None:
        """It was heard of; whatever failed before is over."""
        with self._lock:
            self._faults.pop(name, None)
            if (sign := self._signs.get(name)) is not None:
                sign.heard_at = self.clock()

    def fail(self, name: str, why: str) -> None:
        """It is known not to go on, until it does again or is heard of."""
        with self._lock:
            self._faults[name] = why

    def goes_on(self, name: str) -> None:
        """It was begun anew; whether it is alive is still to be heard."""
        with self._lock:
            self._faults.pop(name, None)

    def lag(self, name: str, seconds: float) -> None:
        """How late a loop was; one that does not tell any more is late as well."""
        with self._lock:
            self._lags[name] = seconds
            self._signs[name] = _Sign(_LATENESS, self.clock())

    def forget(self, name: str) -> None:
        """It has been stopped on purpose."""
        with self._lock:
            for kept in (self._signs, self._faults, self._lags):
                kept.pop(name, None)

    def silence(self, name: str) -> float:
        """Seconds since it was heard of."""
        with self._lock:
            sign = self._signs.get(name)
            return 0.0 if sign is None else self.clock() - sign.heard_at

    @property
    def lags(self) -> Mapping[str, float]:
        with self._lock:
            return dict(self._lags)

    def failing(self) -> list[str]:
        """What is wrong, in words."""
        with self._lock:
            now = self.clock()
            silent = (
                f"{name}: not heard of for {now - sign.heard_at:.0f} s"
                for name, sign in self._signs.items()
                if now - sign.heard_at > sign.within and name not in self._faults
            )
            late = (f"{name}: {lag:.0f} s late" for name, lag in self._lags.items() if lag > _LATENESS)
            return sorted([*silent, *late, *(f"{name}: {why}" for name, why in self._faults.items())])
