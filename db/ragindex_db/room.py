"""Whether the database has room to write: a full disk shows only to those who write, which may be nobody for long."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from ragindex_db.engine import DISK_FULL

#: Half a megabyte in a temporary file, as the rows do not fit the memory they get: as much as tables are extended by.
_ROWS = 40_000
_LEAST_MEMORY = "64kB"
_SPILLED = sa.select(sa.func.count()).select_from(sa.func.generate_series(1, _ROWS).table_valued("n"))


#: For so long in seconds what was found is told again to who looks after many indexes: to try takes 5 ms.
_STANDS = 1.0


class Room:
    """Of one database, which all its indexes share."""

    def __init__(self) -> None:
        self._full = False
        self._tried_at: float | None = None

    def is_full(self, connection: Connection) -> bool:
        now = time.monotonic()
        if self._tried_at is None or now - self._tried_at > _STANDS:
            self._tried_at = now  # first, so that others need not try meanwhile
            self._full = is_full(connection)
        return self._full


def is_full(connection: Connection) -> bool:
    """Tries it with a file that leaves nothing behind and that whoever may read may write."""
    attempt = connection.begin_nested()
    try:
        connection.execute(sa.select(sa.func.set_config("work_mem", _LEAST_MEMORY, True)))
        connection.execute(_SPILLED)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != DISK_FULL:
            raise
        return True
    finally:
        attempt.rollback()
    return False
