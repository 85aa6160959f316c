"""Takes sync runs as they come, one at a time; in a Job the one there is, or the one that a schedule asks for."""

from __future__ import annotations

import logging

from ragindex_core.errors import NotFound, RagIndexError
from ragindex_core.object.revision import inputs_key
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.reconcile.actions import Trigger
from ragindex_db import indexes, queue, runs
from ragindex_db.engine import Connection, Database
from ragindex_db.runs import SyncRun
from ragindex_worker.opening import OpenSource
from ragindex_worker.sealing import Sealer
from ragindex_worker.steps import Steps
from ragindex_worker.sync import SyncRunner

log = logging.getLogger(__name__)


class Lister:
    """Carries out runs of one index, or of all."""

    def __init__(
        self, database: Database, open_source: OpenSource, steps: Steps, owner: str, index_id: int | None = None
    ) -> None:
        self._database = database
        self._runner = SyncRunner(database, open_source, steps.stopping)
        self._owner = owner
        self._index_id = index_id
        self._dropped: SyncRun | None = None  # what was in hand when the database went away

    def next(self) -> bool | None:
        """Carry out a run that waits: False when a stop cut it short, None when none waits."""
        if self._dropped is not None:
            self._database.run(runs.give_back, self._dropped)
            self._dropped = None
        run = self._database.run(runs.claim, self._owner, index_id=self._index_id)
        if run is None:
            return None
        try:
            return self._runner.perform(run, self._database.run(indexes.get, run.index_id))
        except RagIndexError:
            self._dropped = run
            raise


def list_once(database: Database, open_source: OpenSource, steps: Steps, index_id: int) -> bool:
    """The run that waits or, when there is none, one that is asked for now: then a schedule has begun this process.

    Nothing to do while another process is at a run of this index. False when stopped before it was done.
    """
    lister = Lister(database, open_source, steps, queue.new_owner(), index_id)
    may_ask = True

    def step() -> float | None:
        nonlocal may_ask
        done = lister.next()
        if done is None and may_ask:
            asked = database.run(_ask, index_id)
            may_ask = False
            return 0.0 if asked else None
        return 0.0 if done is False else None

    listed = steps.repeat(step)
    if listed and database.run(queue.next_due_seconds, index_id=index_id) is None:
        steps.repeat(Sealer(database, index_id).finish)  # nobody embeds after us, and what was deleted is to be booked
    return listed


def _ask(connection: Connection, index_id: int) -> bool:
    """Whether there is something to look for again: one that another asked for meanwhile will do as well."""
    try:
        index = indexes.get(connection, index_id)
    except NotFound:
        return False
    if index.suspended or index.retained_at is not None:
        return False
    inputs = index.inputs or inputs_key(RagIndexSpec.model_validate(index.spec))
    if not runs.request(connection, index_id, Trigger.SCHEDULED.value, inputs):
        log.info("a run is under way or waits already", extra={"index": index.full_name})
    return True
