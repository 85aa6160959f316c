"""The epoch of an operator that holds the Lease: taken when the database first answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ragindex_core.errors import Unavailable
from ragindex_db import migrate, sessions
from ragindex_db.engine import Database
from ragindex_operator.fence import Fence, Fenced

log = logging.getLogger(__name__)

_AFTER_FAILURE_SECONDS = 2.0


class Takeover:
    """``holds`` asks the API server whether the Lease is still ours."""

    def __init__(self, database: Database, installation: str, identity: str, holds: Callable[[], bool]) -> None:
        self._database = database
        self._installation = installation
        self._identity = identity
        self._holds = holds
        self._fence: Fence | None = None
        self._taking = threading.Lock()
        self._failed: tuple[float, Unavailable] | None = None

    def fence(self) -> Fence:
        """Raises Unavailable; for some seconds then without asking again, as one database serves all objects."""
        with self._taking:
            if self._fence is None:
                if self._failed is not None and time.monotonic() < self._failed[0]:
                    raise self._failed[1]
                try:
                    self._fence = self._take()
                except Unavailable as error:
                    self._failed = (time.monotonic() + _AFTER_FAILURE_SECONDS, error)
                    raise
            return self._fence

    def _take(self) -> Fence:
        """What our predecessor has under way ends with its sessions; what it begins anew is refused by the epoch."""
        migrate.migrate(self._database)
        if not self._holds():
            raise Fenced("the Lease went to another operator")
        ours = self._database.settings.application_name
        ended = self._database.run(sessions.end_others, prefix_of(self._installation), ours)
        fence = Fence.raised(self._database, self._installation, self._identity)
        log.info("took over", extra={"epoch": fence.epoch, "ended_sessions": ended})
        return fence


def application_name(installation: str, identity: str) -> str:
    """Of the sessions of one operator process."""
    return f"{prefix_of(installation)}{identity[-8:]}"


def prefix_of(installation: str) -> str:
    """How the names of an installation's operators' sessions begin: PostgreSQL keeps 63 characters."""
    return f"ragindex-operator {installation[:32]} "
