"""Questions to the database as the service asks them: its connections, statements and transactions, but no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from benchmarks.stage import Stage
from ragindex_db.compiled import Reader
from ragindex_db.engine import AsyncDatabase, DatabaseSettings

P = ParamSpec("P")
T = TypeVar("T")


class Asker:
    """For one thread."""

    def __init__(self, database: AsyncDatabase, runner: asyncio.Runner) -> None:
        self._database = database
        self._runner = runner

    def ask(self, function: Callable[Concatenate[Reader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function`` on one state of the database."""
        return self._runner.run(self._database.query(function, *args, **kwargs))


@contextmanager
def asker(stage: Stage) -> Iterator[Asker]:
    with asyncio.Runner() as runner:
        database = AsyncDatabase(DatabaseSettings(url=stage.url, pool_size=2, application_name="asking"))
        try:
            yield Asker(database, runner)
        finally:
            runner.run(database.close())
