"""How a worker's threads pass their time: a step, then a pause that a signal cuts short, until told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ragindex_core.errors import Unavailable

log = logging.getLogger(__name__)

_AFTER_TROUBLE = 2.0


class Steps:
    """``wake`` and ``stop`` may be called from any thread."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._signals = 0

    def stop(self) -> None:
        """Begin no more; what is in hand is finished or given back."""
        self._stopping.set()
        self.wake()

    def wake(self) -> None:
        with self._work:
            self._signals += 1
            self._work.notify_all()

    def stopping(self) -> bool:
        return self._stopping.is_set()

    def wait(self, seconds: float) -> bool:
        """For what no signal cuts short: True as soon as the worker should stop."""
        return self._stopping.wait(seconds) if seconds > 0 else self._stopping.is_set()

    def repeat(self, step: Callable[[], float | None]) -> bool:
        """Call ``step`` again after the seconds it says, or sooner when woken. None ends it: True, unless stopped
        before."""
        while not self.stopping():
            seen = self._signals
            try:
                pause = step()
            except Unavailable as error:
                log.warning("will try again", extra={"why": str(error)})
                self.wait(error.retry_after_seconds or _AFTER_TROUBLE)
                continue
            except Exception:
                log.exception("worker step failed")
                self.wait(_AFTER_TROUBLE)
                continue
            if pause is None:
                return True
            if pause > 0:
                self._await_work(seen, pause)
        return False

    def _await_work(self, seen: int, seconds: float) -> None:
        with self._work:
            self._work.wait_for(lambda: self._signals != seen or self.stopping(), timeout=seconds)
