"""Whether this process should be sent requests."""

from __future__ import annotations

import asyncio

from ragindex_api.drain import Drain
from ragindex_api.problems import Kind, ProblemError
from ragindex_core.errors import NotReady, Unavailable
from ragindex_db.engine import AsyncDatabase
from ragindex_db.migrate import current_version, newest_version

_LOOK_SECONDS = 3.0


class Readiness:
    """The database answers and is at the version this code needs, and the process is not on its way out."""

    def __init__(self, database: AsyncDatabase, drain: Drain) -> None:
        self._database = database
        self._drain = drain
        self._needed: str | None = None

    async def check(self) -> None:
        """Raises the problem that stands in the way."""
        if self._drain.begun:
            raise ProblemError(Kind.DRAINING, Kind.DRAINING.title, retry_after_seconds=1)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await self._database.run(current_version)
        except TimeoutError:
            raise Unavailable("the database takes too long to answer") from None
        if self._needed is None:
            self._needed = newest_version()
        if found != self._needed:
            raise NotReady(f"the catalogue is at version {found}, not yet at {self._needed}", 5)
