"""One look at one object of a cluster: read it, hold it, reconcile it, tell its status and what happened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragindex_core.errors import FieldProblem, Unavailable
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.object.status import RagIndexStatus
from ragindex_core.reconcile.events import transitions
from ragindex_core.reconcile.status import COUNTS_EVERY, status_of_unreadable, worth_writing
from ragindex_db import indexes
from ragindex_operator.cluster.objects import Objects, Seen, key_of
from ragindex_operator.cluster.posting import Poster
from ragindex_operator.cluster.workforce import KubeWorkforce
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Written:
    """A status as it was meant, and as the API server kept it."""

    meant: RagIndexStatus
    kept: RagIndexStatus | None
    at: datetime


@dataclass(slots=True)
class ObjectController:
    """``take_over`` gives the fence of this operator's epoch, taken when the database first answers; ``may_write``
    raises when another operator has taken over; ``told`` is given each status."""

    objects: Objects
    reconciler: Reconciler
    workforce: KubeWorkforce
    poster: Poster
    take_over: Callable[[], Fence]
    may_write: Callable[[], None]
    directories: Path
    told: Callable[[str, RagIndexStatus | None], None] = lambda _key, _status: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _written: dict[str, _Written] = field(default_factory=dict)

    def look(self, key: str) -> timedelta | None:
        """When to look again though nothing happened; None for never."""
        seen = self.objects.get(key)
        if seen is None or (seen.deleting and not seen.held):
            self._clear_away_of_gone(key)
            self.told(key, None)
            return None
        self._have_epoch()
        wanted, faults = self._readable(seen)
        if wanted is None:
            self._tell_unreadable(seen)
            return None
        if not seen.held:
            self.may_write()
            seen = self.objects.hold(seen)
            wanted = seen.wanted or wanted
        released = False

        def release() -> None:
            nonlocal released
            released = True
            self._let_go(seen)

        outcome = self.reconciler.reconcile(wanted, str(self.directories), release, faults)
        if released:
            self.told(key, None)
            return None
        told = self._tell(seen, outcome.status)
        self.workforce.note_ends(wanted)
        return outcome.look_again if told else min(outcome.look_again or COUNTS_EVERY, COUNTS_EVERY)

    def _clear_away_of_gone(self, key: str) -> None:
        """What a former holder of the Lease still made for it, who learned too late that it is one no more."""
        uids = self.workforce.known(key)
        if not uids or key in map(key_of, self.objects.list((key.partition("/")[0],))):
            return  # an API server that does not know the kind refuses the list
        for uid in uids:
            self.workforce.clear_away(uid)

    def _have_epoch(self) -> None:
        """A database that does not answer stops nothing here: letting go and telling of it go on without."""
        try:
            self.reconciler.fence = self.take_over()
        except Unavailable as error:
            log.warning("the database does not answer", extra={"why": str(error)})

    def _readable(self, seen: Seen) -> tuple[RagIndex | None, Sequence[FieldProblem]]:
        """The object; one whose spec this release cannot read goes on as the catalogue knows it."""
        if seen.wanted is not None:
            return seen.wanted, ()
        try:
            row = self.reconciler.database.run(indexes.by_uid, seen.uid)
        except Unavailable:
            if seen.deleting:
                raise  # whether anything was made for it, only the database knows
            return None, ()
        if row is None:
            return None, ()
        spec = RagIndexSpec.model_validate(row.spec)
        metadata = {**seen.body["metadata"], "generation": row.generation}
        known = RagIndex.model_validate({"metadata": metadata, "spec": spec})
        return known.model_copy(update={"status": seen.status}), seen.problems

    def _tell_unreadable(self, seen: Seen) -> None:
        """Nothing was ever made for it, as far as anybody knows: it may go."""
        if seen.deleting:
            self._let_go(seen)
            return
        self._tell(seen, status_of_unreadable(seen.generation, seen.problems, seen.status, self.clock()))

    def _let_go(self, seen: Seen) -> None:
        self.may_write()
        self.workforce.clear_away(seen.uid)
        self.objects.release(seen)
        self._written.pop(seen.uid, None)

    def _tell(self, seen: Seen, status: RagIndexStatus) -> bool:
        """False when it differs from what is written, and waits its time."""
        self.told(seen.key, status)
        now, before, last = self.clock(), seen.status, self._written.get(seen.uid)
        if last is not None and last.kept == before:
            before = last.meant
        if not worth_writing(before, status, last.at if last is not None else None, now):
            return not worth_writing(before, status, None, now)
        self.may_write()
        kept = self.objects.tell(seen, status).status
        self._written[seen.uid] = _Written(status, kept, now)
        self.may_write()
        self.poster.post(seen, transitions(before, status))
        return True
