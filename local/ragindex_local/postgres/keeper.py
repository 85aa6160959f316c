"""Keeps an embedded server up: one that ends by itself is started again where it was, and its owner hears of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from ragindex_core.errors import Misconfigured, RagIndexError, Unavailable
from ragindex_local.postgres.server import EmbeddedPostgres

log = logging.getLogger(__name__)

#: Seconds before each attempt: the first comes at once, and after the last nobody is left waiting in vain.
PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
A_GOOD_RUN_SECONDS = 60.0  # a server that lasted this long begins with all its attempts anew


class Keeper(threading.Thread):
    """``say`` hears what happens to the server; ``give_up`` is told why it cannot be brought back, and is the last."""

    def __init__(
        self,
        server: EmbeddedPostgres,
        say: Callable[[str], None],
        give_up: Callable[[RagIndexError], None],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        super().__init__(name="database-keeper", daemon=True)
        self._server = server
        self._say = say
        self._give_up = give_up
        self._pauses = pauses
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stops the server, too: its end is what a keeper waits for."""
        self._stopping.set()
        self._server.stop()
        self.join()

    def run(self) -> None:
        attempts = 0
        while True:
            since = time.monotonic()
            if not self._server.await_end() or self._stopping.is_set():
                return
            if time.monotonic() - since > A_GOOD_RUN_SECONDS:
                attempts = 0
            self._say("the database stopped; starting it again")
            log.error("the database stopped; starting it again")
            back = self._bring_back(attempts)
            if back is None:
                return
            attempts = back
            self._say("the database is back")
            log.info("the database is back")

    def _bring_back(self, attempts: int) -> int | None:
        """How many attempts it has had in all; None when it is given up, or no longer wanted."""
        last: RagIndexError = Unavailable("it ended again and again, soon after each start")
        for made, pause in enumerate(self._pauses[attempts:], attempts + 1):
            if self._stopping.wait(pause):
                return None
            try:
                self._server.restart()
            except RagIndexError as error:
                last = error
                if made == attempts + 1 and not self._stopping.is_set():
                    self._say(f"the database cannot be started yet, trying again: {error}")
                log.warning("the database cannot be started", extra={"attempt": made, "why": str(error)})
            else:
                return made
            if self._stopping.is_set():
                return None
        told = f"the database stopped and cannot be started again. {last}"
        self._give_up(Misconfigured(told) if isinstance(last, Misconfigured) else Unavailable(told))
        return None
