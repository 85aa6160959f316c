"""One operator at a time: whoever comes raises the installation's epoch, and a former holder's writes are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ragindex_core.errors import RagIndexError, Unavailable
from ragindex_db import installations
from ragindex_db.engine import Connection, Database


class Fenced(RagIndexError):
    """Another operator has taken over; this one must change nothing more."""


class NotTaken(Unavailable):
    """The database, or the API server, did not answer yet when we were to take over."""


@dataclass(frozen=True, slots=True)
class Fence:
    """With epoch 0, of a holder that has not taken over yet."""

    installation: str
    epoch: int

    @classmethod
    def raised(cls, database: Database, installation: str, holder: str) -> Fence:
        return cls(installation, database.run(installations.raise_epoch, installation, holder))

    def check(self, database: Database) -> None:
        """Raises Fenced when another holder has come."""
        with self.begin(database):
            pass

    @contextmanager
    def begin(self, database: Database) -> Iterator[Connection]:
        """A transaction that only the present holder can commit."""
        if self.epoch == 0:
            raise NotTaken(f"{self.installation} was not taken over yet")
        with database.begin() as connection:
            if not installations.holds(connection, self.installation, self.epoch):
                raise Fenced(f"epoch {self.epoch} of {self.installation} is over")
            yield connection
