"""What happened between two statuses that is worth a person's look, as Events of Kubernetes tell it.

A pure function of two statuses: told again, the same change gives the same Events, and no change gives none. Where an
Event means what a reason of a condition means, it has its name. Notes hold what the object itself says, revisions and
counts; never what a provider or a source answered, for that may quote a document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ragindex_core.object.reasons import ConditionType, Documented, Outcome, Reason, RequestName
from ragindex_core.object.status import Condition, RagIndexStatus

#: The API server takes no longer ones.
MOST_NOTE_CHARACTERS = 1024


def _as(reason: Reason) -> tuple[str, str]:
    return reason.value, reason.summary


class EventReason(Documented):
    """Every Event of a RagIndex, and what it says."""

    # Ready
    SERVING = _as(Reason.SERVING)
    FILLING = _as(Reason.FILLING)
    PREPARING = _as(Reason.PREPARING)
    # The database
    CONNECTED = _as(Reason.CONNECTED)
    DATABASE_UNREACHABLE = _as(Reason.DATABASE_UNREACHABLE)
    READ_ONLY_DATABASE = _as(Reason.READ_ONLY_DATABASE)
    DATABASE_FULL = _as(Reason.DATABASE_FULL)
    # Degraded
    HEALTHY = _as(Reason.HEALTHY)
    RUN_FAILED = _as(Reason.RUN_FAILED)
    SOURCE_SHRUNK = _as(Reason.SOURCE_SHRUNK)
    TOO_FEW_DOCUMENTS = _as(Reason.TOO_FEW_DOCUMENTS)
    PROVIDER_UNAVAILABLE = _as(Reason.PROVIDER_UNAVAILABLE)
    JOB_FAILED = _as(Reason.JOB_FAILED)
    DOCUMENTS_FAILED = _as(Reason.DOCUMENTS_FAILED)
    # Throttled
    PROVIDER_THROTTLED = _as(Reason.PROVIDER_THROTTLED)
    # Stalled
    INVALID_SPEC = _as(Reason.INVALID_SPEC)
    NOT_ALLOWED = _as(Reason.NOT_ALLOWED)
    ADOPTION_REFUSED = _as(Reason.ADOPTION_REFUSED)
    NOT_STALLED = _as(Reason.NOT_STALLED)
    # A person is asked
    AWAITING_PROMOTION = _as(Reason.AWAITING_PROMOTION)
    AWAITING_APPROVAL = _as(Reason.AWAITING_APPROVAL)
    # Revisions
    REVISION_BUILDING = _as(Reason.REVISION_BUILDING)
    PROMOTED = "Promoted", "Another revision became the active one, or the first did."
    ROLLED_BACK = _as(Reason.ROLLED_BACK)
    # Switches
    SUSPENDED_BY_SPEC = _as(Reason.SUSPENDED_BY_SPEC)
    NOT_SUSPENDED = _as(Reason.NOT_SUSPENDED)
    PAUSED_BY_ANNOTATION = _as(Reason.PAUSED_BY_ANNOTATION)
    NOT_PAUSED = _as(Reason.NOT_PAUSED)
    # Requests
    REQUEST_REFUSED = "RequestRefused", "What a person asked for could not be carried out; the note says why."
    # Deletion
    DELETING = _as(Reason.DELETING)
    DELETION_BLOCKED = _as(Reason.DELETION_BLOCKED)


#: What nobody has to act upon.
NORMAL = frozenset(
    {EventReason.SERVING, EventReason.FILLING, EventReason.CONNECTED, EventReason.HEALTHY, EventReason.NOT_STALLED}
    | {EventReason.AWAITING_PROMOTION, EventReason.REVISION_BUILDING, EventReason.PROMOTED, EventReason.ROLLED_BACK}
    | {EventReason.SUSPENDED_BY_SPEC, EventReason.NOT_SUSPENDED, EventReason.PAUSED_BY_ANNOTATION}
    | {EventReason.NOT_PAUSED, EventReason.DELETING}
)

#: Reasons whose messages RagIndex words itself, out of the spec, revisions and counts. The others' may quote an error.
_OUR_OWN_WORDS = frozenset(
    {Reason.SOURCE_SHRUNK, Reason.TOO_FEW_DOCUMENTS, Reason.DOCUMENTS_FAILED, Reason.PROVIDER_THROTTLED}
    | {Reason.INVALID_SPEC, Reason.NOT_ALLOWED, Reason.AWAITING_PROMOTION, Reason.AWAITING_APPROVAL}
)

_DATABASE = frozenset({Reason.DATABASE_UNREACHABLE, Reason.DATABASE_FULL})  # DatabaseReachable tells their end
_DELETION = frozenset({Reason.DELETING, Reason.DELETION_BLOCKED})
_AWAITED = frozenset({Reason.AWAITING_PROMOTION, Reason.AWAITING_APPROVAL})
_NOTHING = RagIndexStatus()


@dataclass(frozen=True, slots=True)
class Happening:
    """One Event to be."""

    type: Literal["Normal", "Warning"]
    reason: EventReason
    note: str


def transitions(before: RagIndexStatus | None, after: RagIndexStatus) -> tuple[Happening, ...]:
    """What happened from one status to the next; ``before`` is None for an object that had none."""
    step = _Step(before or _NOTHING, after)
    progressing = step.changed(ConditionType.PROGRESSING)
    if _reason(after, ConditionType.PROGRESSING) in _DELETION:
        told = _conditions(progressing)  # all else is about to go
    else:
        awaited = progressing if progressing is not None and progressing.reason in _AWAITED else None
        told = (
            *_conditions(*step.of_the_database(), step.of_ready(), *step.of_trouble(), *step.of_switches(), awaited),
            *_revisions(step.before, after),
        )
    return tuple(dict.fromkeys((*told, *_refused(step.before, after))))


@dataclass(frozen=True, slots=True)
class _Step:
    before: RagIndexStatus
    after: RagIndexStatus

    def changed(self, type_: ConditionType) -> Condition | None:
        """The condition as it is now, if status or reason are new."""
        was, now = self.before.condition(type_), self.after.condition(type_)
        same = was is not None and now is not None and (was.status, was.reason) == (now.status, now.reason)
        return None if same else now

    def became(self, type_: ConditionType, status: str) -> Condition | None:
        """The condition as it is now, if it has this status and had another, or none."""
        was, now = self.before.condition(type_), self.after.condition(type_)
        turned = now is not None and now.status == status and (was is None or was.status != status)
        return now if turned else None

    def ended(self, type_: ConditionType) -> Condition | None:
        """The condition as it is now, if it was true and is false."""
        was = self.before.condition(type_)
        return self.became(type_, "False") if was is not None and was.status == "True" else None

    def of_ready(self) -> Condition | None:
        return self.became(ConditionType.READY, "True") or self.ended(ConditionType.READY)

    def of_the_database(self) -> Iterator[Condition | None]:
        now = self.changed(ConditionType.DATABASE_REACHABLE)
        if now is not None and (now.status == "False" or self.before.condition(now.type) is not None):
            yield now

    def of_trouble(self) -> Iterator[Condition | None]:
        degraded = self.changed(ConditionType.DEGRADED)
        if degraded is not None and degraded.status == "True":
            yield degraded
        elif _reason(self.before, ConditionType.DEGRADED) not in _DATABASE:
            yield self.ended(ConditionType.DEGRADED)
        yield self._stalled()
        yield self.became(ConditionType.THROTTLED, "True")

    def _stalled(self) -> Condition | None:
        """An edit may exchange one fault of the spec for another of the same reason."""
        was, now = self.before.condition(ConditionType.STALLED), self.after.condition(ConditionType.STALLED)
        if now is None or now.status != "True":
            return self.ended(ConditionType.STALLED)
        same = was is not None and (was.status, was.reason, was.message) == (now.status, now.reason, now.message)
        return None if same else now

    def of_switches(self) -> Iterator[Condition | None]:
        for type_ in (ConditionType.SUSPENDED, ConditionType.PAUSED):
            yield self.became(type_, "True") or self.ended(type_)


def _reason(status: RagIndexStatus, type_: ConditionType) -> Reason | None:
    condition = status.condition(type_)
    return condition.reason if condition is not None else None


def _conditions(*conditions: Condition | None) -> tuple[Happening, ...]:
    named = {reason.value: reason for reason in EventReason}
    return tuple(
        _happening(named[condition.reason.value], condition.message if condition.reason in _OUR_OWN_WORDS else "")
        for condition in conditions
        if condition is not None and condition.reason.value in named
    )


def _revisions(before: RagIndexStatus, after: RagIndexStatus) -> Iterator[Happening]:
    active, pending = after.active_revision, after.pending_revision
    if active is not None and (before.active_revision is None or before.active_revision.id != active.id):
        reason = EventReason.ROLLED_BACK if _rolled_back(before, after) else EventReason.PROMOTED
        yield _happening(reason, f"revision {active.id} ({active.model}, {active.dimensions} dimensions) is active")
    known = before.pending_revision.id if before.pending_revision is not None else None
    if active is not None and pending is not None and pending.id != known:
        what = f"revision {pending.id} ({pending.model}, {pending.dimensions} dimensions) is being built"
        yield _happening(EventReason.REVISION_BUILDING, f"{what} beside {active.id}")


def _rolled_back(before: RagIndexStatus, after: RagIndexStatus) -> bool:
    asked = after.handled.get(RequestName.ROLLBACK)
    answered = asked is not None and asked.outcome is Outcome.DONE and asked != before.handled.get(RequestName.ROLLBACK)
    return answered or _reason(after, ConditionType.PROGRESSING) is Reason.ROLLED_BACK


def _refused(before: RagIndexStatus, after: RagIndexStatus) -> Iterator[Happening]:
    for name, handled in after.handled.items():
        was = before.handled.get(name)
        told = was is not None and (was.value, was.outcome) == (handled.value, handled.outcome)
        if handled.outcome is Outcome.REFUSED and not told:
            yield _happening(EventReason.REQUEST_REFUSED, f"{name.value} {handled.value}: {handled.message}")


def _happening(reason: EventReason, note: str = "") -> Happening:
    text = note or reason.summary
    if len(text) > MOST_NOTE_CHARACTERS:
        text = f"{text[: MOST_NOTE_CHARACTERS - 1]}…"
    return Happening("Normal" if reason in NORMAL else "Warning", reason, text)
