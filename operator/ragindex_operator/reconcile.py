"""One look at one object: observe, plan, carry out, tell. Level-triggered: it remembers nothing between two looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ragindex_core.errors import FieldProblem, Unavailable
from ragindex_core.object.reasons import ConditionType
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.status import RagIndexStatus
from ragindex_core.reconcile.observed import Observed
from ragindex_core.reconcile.plan import plan, wake_at
from ragindex_core.reconcile.situation import Limits
from ragindex_core.reconcile.status import status_of, status_of_unreadable, worth_writing
from ragindex_db import indexes, signals
from ragindex_db.engine import Database, DatabaseFull
from ragindex_db.room import Room
from ragindex_operator.builds import Builds
from ragindex_operator.capabilities import Capabilities, refusals
from ragindex_operator.fence import Fence
from ragindex_operator.observe import observe
from ragindex_operator.outside import Originals, Workforce
from ragindex_operator.perform import Performer, with_answers

log = logging.getLogger(__name__)

#: A plan is carried out and made again until it is empty; one that never becomes so is a fault to be seen, not a loop.
_MOST_ROUNDS = 20


def now_utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``look_again``: so much later time alone may bring something to do."""

    observed: Observed
    status: RagIndexStatus
    look_again: timedelta | None


@dataclass(slots=True)
class Reconciler:
    database: Database
    fence: Fence
    workforce: Workforce
    builds: Builds
    limits: Limits = field(default_factory=Limits)
    capabilities: Capabilities = field(default_factory=Capabilities)
    clock: Callable[[], datetime] = now_utc
    performer: type[Performer] = Performer
    originals: Originals | None = None
    rules: Callable[[RagIndex], Sequence[FieldProblem]] = lambda _wanted: ()
    _room: Room = field(default_factory=Room)
    _written: dict[str, tuple[RagIndexStatus, datetime]] = field(default_factory=dict)

    def reconcile(
        self,
        wanted: RagIndex,
        base_path: str | None,
        release: Callable[[], None],
        faults: Sequence[FieldProblem] = (),
    ) -> Outcome:
        """``faults`` are those of a newer text of the object: what is in force goes on, its status tells of them."""
        performer = self.performer(
            database=self.database,
            fence=self.fence,
            wanted=wanted,
            base_path=base_path,
            workforce=self.workforce,
            builds=self.builds,
            release=release,
            originals=self.originals,
        )
        released = False
        for _ in range(_MOST_ROUNDS):
            observed = self._observe(wanted)
            now = observed.database.now or self.clock()
            actions = plan(wanted, observed, now, self.limits)
            for action, answers in with_answers(actions):
                released |= performer.perform(action, answers)
            if not actions or released or all(performer.goes_on_by_itself(action) for action in actions):
                break
        else:
            log.error("the plan does not come to an end", extra={"index": wanted.path, "actions": str(actions)})
        previous = self._previous(wanted, now)
        status = status_of(wanted, observed, previous, now, self.limits)
        if faults:
            status = _with_faults(status, faults, previous, now)
        if released:
            self._written.pop(wanted.metadata.uid, None)
        else:
            try:
                self._tell(wanted, observed, status, now)
            except DatabaseFull as error:
                log.warning("the status cannot be written", extra={"index": wanted.path, "why": str(error)})
        again = wake_at(wanted, observed, now, self.limits)
        return Outcome(observed, status, None if again is None else again - now)

    def _observe(self, wanted: RagIndex) -> Observed:
        refused = (*refusals(wanted.spec, self.capabilities), *self.rules(wanted))
        return observe(
            self.database, self.fence.installation, wanted, self.workforce, self._room, self.originals, refused
        )

    def _previous(self, wanted: RagIndex, now: datetime) -> RagIndexStatus | None:
        """What was written last: remembered, read once after a start, or as the object shows it."""
        uid = wanted.metadata.uid
        if uid not in self._written:
            try:
                row = self.database.run(indexes.by_uid, uid)
            except Unavailable:
                return wanted.status
            if row is None or not row.status:
                return wanted.status
            self._written[uid] = (RagIndexStatus.model_validate(row.status), now)
        return self._written[uid][0]

    def _tell(self, wanted: RagIndex, observed: Observed, status: RagIndexStatus, now: datetime) -> None:
        uid = wanted.metadata.uid
        written, at = self._written.get(uid, (None, None))
        if not observed.database.reachable or not worth_writing(written, status, at, now):
            return
        with self.fence.begin(self.database) as connection:
            row = indexes.by_uid(connection, uid)
            if row is not None:
                indexes.write_status(connection, row.id, _of_generation(status, row.generation).to_wire())
                signals.send(connection, f"status:{row.id}")
        self._written[uid] = (status, now)


def _of_generation(status: RagIndexStatus, kept: int) -> RagIndexStatus:
    """The catalogue goes on with the last spec that can work: what is said there is said of that one's generation."""
    if (status.observed_generation or 0) <= kept:
        return status
    conditions = tuple(c.model_copy(update={"observed_generation": kept}) for c in status.conditions)
    return status.model_copy(update={"observed_generation": kept, "conditions": conditions})


def _with_faults(
    status: RagIndexStatus, faults: Sequence[FieldProblem], previous: RagIndexStatus | None, now: datetime
) -> RagIndexStatus:
    """As it would be, but Stalled; the conditions that say so keep the times they were first said at."""
    before = {condition.type: condition for condition in previous.conditions} if previous else {}
    said_before = tuple(before.get(c.type, c) if c.type in _TELL_OF_FAULTS else c for c in status.conditions)
    as_before = status.model_copy(update={"conditions": said_before})
    return status_of_unreadable(status.observed_generation or 0, faults, as_before, now)


_TELL_OF_FAULTS = (ConditionType.STALLED, ConditionType.PROGRESSING, ConditionType.RECONCILING)
