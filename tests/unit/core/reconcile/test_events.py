"""Events tell what changed between two statuses: each change once, and of no document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_core.object.reasons import ConditionType, Outcome, Reason, RequestName
from ragindex_core.object.status import (
    Condition,
    HandledStatus,
    PendingRevisionStatus,
    RagIndexStatus,
    RevisionStatus,
)
from ragindex_core.reconcile.events import MOST_NOTE_CHARACTERS, EventReason, Happening, transitions

NOW = datetime(2026, 1, 5, tzinfo=UTC)
TITAN: dict[str, Any] = {"key": "k", "provider": "Bedrock", "model": "titan", "dimensions": 1024}
Status = Literal["True", "False", "Unknown"]


def said(type_: ConditionType, status: Status, reason: Reason, message: str = "") -> Condition:
    return Condition(
        type=type_, status=status, reason=reason, message=message or reason.summary, last_transition_time=NOW
    )


HEALTHY = {
    condition.type: condition
    for condition in (
        said(ConditionType.READY, "True", Reason.SERVING),
        said(ConditionType.DATABASE_REACHABLE, "True", Reason.CONNECTED),
        said(ConditionType.PROGRESSING, "False", Reason.UP_TO_DATE),
        said(ConditionType.DEGRADED, "False", Reason.HEALTHY),
        said(ConditionType.SUSPENDED, "False", Reason.NOT_SUSPENDED),
        said(ConditionType.PAUSED, "False", Reason.NOT_PAUSED),
        said(ConditionType.THROTTLED, "False", Reason.NOT_THROTTLED),
        said(ConditionType.STALLED, "False", Reason.NOT_STALLED),
    )
}


def status(*changed: Condition, active: str | None = "r1", **parts: Any) -> RagIndexStatus:
    """A healthy index's, but for what is given."""
    conditions = {**HEALTHY, **{condition.type: condition for condition in changed}}
    revision = RevisionStatus(id=active, **TITAN) if active is not None else None
    return RagIndexStatus(conditions=tuple(conditions.values()), active_revision=revision, **parts)


def pending(id_: str) -> PendingRevisionStatus:
    return PendingRevisionStatus(id=id_, **TITAN)


def handled(name: RequestName, value: str, outcome: Outcome, message: str = "") -> dict[RequestName, HandledStatus]:
    return {name: HandledStatus(value=value, outcome=outcome, message=message, time=NOW)}


FINE = status()
NOT_READY = status(said(ConditionType.READY, "False", Reason.PREPARING), active=None)
FILLING = status(said(ConditionType.READY, "True", Reason.FILLING), active=None, pending_revision=pending("r1"))
UNREACHABLE = status(
    said(ConditionType.READY, "False", Reason.DATABASE_UNREACHABLE),
    said(ConditionType.DATABASE_REACHABLE, "False", Reason.DATABASE_UNREACHABLE),
    said(ConditionType.PROGRESSING, "False", Reason.DATABASE_UNREACHABLE),
    said(ConditionType.DEGRADED, "True", Reason.DATABASE_UNREACHABLE),
)
READ_ONLY = status(said(ConditionType.DATABASE_REACHABLE, "False", Reason.READ_ONLY_DATABASE))
FULL = status(
    said(ConditionType.DATABASE_REACHABLE, "False", Reason.DATABASE_FULL),
    said(ConditionType.DEGRADED, "True", Reason.DATABASE_FULL),
)
DELETING = status(
    said(ConditionType.READY, "False", Reason.DELETING), said(ConditionType.PROGRESSING, "True", Reason.DELETING)
)
BLOCKED = status(
    said(ConditionType.READY, "False", Reason.DELETING),
    said(ConditionType.DATABASE_REACHABLE, "False", Reason.DATABASE_UNREACHABLE),
    said(ConditionType.PROGRESSING, "False", Reason.DELETION_BLOCKED),
)


def degraded(reason: Reason, message: str = "") -> RagIndexStatus:
    return status(said(ConditionType.DEGRADED, "True", reason, message))


def stalled(reason: Reason, message: str = "") -> RagIndexStatus:
    return status(said(ConditionType.STALLED, "True", reason, message))


def progressing(reason: Reason, message: str = "", **parts: Any) -> RagIndexStatus:
    return status(said(ConditionType.PROGRESSING, "False", reason, message), **parts)


SUSPENDED = status(said(ConditionType.SUSPENDED, "True", Reason.SUSPENDED_BY_SPEC))
PAUSED = status(said(ConditionType.PAUSED, "True", Reason.PAUSED_BY_ANNOTATION))
THROTTLED = status(said(ConditionType.THROTTLED, "True", Reason.PROVIDER_THROTTLED))
ROLLED_BACK = handled(RequestName.ROLLBACK, "r1", Outcome.DONE)
REFUSED = handled(RequestName.PROMOTE, "r9", Outcome.REFUSED, "there is no revision r9")

Told = tuple[RagIndexStatus | None, RagIndexStatus, list[EventReason]]
CHANGES: dict[str, Told] = {
    "seen for the first time": (None, NOT_READY, []),
    "suspended from the start": (
        None,
        SUSPENDED,
        [EventReason.SERVING, EventReason.SUSPENDED_BY_SPEC, EventReason.PROMOTED],
    ),
    "first fill begins": (NOT_READY, FILLING, [EventReason.FILLING]),
    "first fill ends": (FILLING, FINE, [EventReason.PROMOTED]),
    "serves": (NOT_READY, FINE, [EventReason.SERVING, EventReason.PROMOTED]),
    "tables are gone": (FINE, status(said(ConditionType.READY, "False", Reason.PREPARING)), [EventReason.PREPARING]),
    "database goes away": (FINE, UNREACHABLE, [EventReason.DATABASE_UNREACHABLE]),
    "database comes back": (UNREACHABLE, FINE, [EventReason.CONNECTED, EventReason.SERVING]),
    "database takes no writes": (FINE, READ_ONLY, [EventReason.READ_ONLY_DATABASE]),
    "database has no room": (FINE, FULL, [EventReason.DATABASE_FULL]),
    "database has room": (FULL, FINE, [EventReason.CONNECTED]),
    "run fails": (FINE, degraded(Reason.RUN_FAILED), [EventReason.RUN_FAILED]),
    "source shrinks": (FINE, degraded(Reason.SOURCE_SHRUNK), [EventReason.SOURCE_SHRUNK]),
    "few documents": (FINE, degraded(Reason.TOO_FEW_DOCUMENTS), [EventReason.TOO_FEW_DOCUMENTS]),
    "provider fails": (FINE, degraded(Reason.PROVIDER_UNAVAILABLE), [EventReason.PROVIDER_UNAVAILABLE]),
    "jobs fail": (FINE, degraded(Reason.JOB_FAILED), [EventReason.JOB_FAILED]),
    "documents fail": (FINE, degraded(Reason.DOCUMENTS_FAILED), [EventReason.DOCUMENTS_FAILED]),
    "more documents fail": (degraded(Reason.DOCUMENTS_FAILED, "1"), degraded(Reason.DOCUMENTS_FAILED, "2"), []),
    "another trouble": (degraded(Reason.RUN_FAILED), degraded(Reason.DOCUMENTS_FAILED), [EventReason.DOCUMENTS_FAILED]),
    "trouble ends": (degraded(Reason.RUN_FAILED), FINE, [EventReason.HEALTHY]),
    "throttled": (FINE, THROTTLED, [EventReason.PROVIDER_THROTTLED]),
    "throttled no more": (THROTTLED, FINE, []),
    "invalid": (FINE, stalled(Reason.INVALID_SPEC), [EventReason.INVALID_SPEC]),
    "invalid in another way": (
        stalled(Reason.INVALID_SPEC, "a"),
        stalled(Reason.INVALID_SPEC, "b"),
        [EventReason.INVALID_SPEC],
    ),
    "forbidden": (FINE, stalled(Reason.NOT_ALLOWED), [EventReason.NOT_ALLOWED]),
    "adoption refused": (FINE, stalled(Reason.ADOPTION_REFUSED), [EventReason.ADOPTION_REFUSED]),
    "mended": (stalled(Reason.INVALID_SPEC), FINE, [EventReason.NOT_STALLED]),
    "promotion awaited": (FINE, progressing(Reason.AWAITING_PROMOTION), [EventReason.AWAITING_PROMOTION]),
    "approval awaited": (FINE, progressing(Reason.AWAITING_APPROVAL), [EventReason.AWAITING_APPROVAL]),
    "ordinary work": (FINE, progressing(Reason.SYNCING), []),
    "revision begins": (FINE, status(pending_revision=pending("r2")), [EventReason.REVISION_BUILDING]),
    "revision grows": (
        status(pending_revision=pending("r2")),
        status(pending_revision=pending("r2").model_copy(update={"chunks": 9})),
        [],
    ),
    "another revision begins": (
        status(pending_revision=pending("r2")),
        status(pending_revision=pending("r3")),
        [EventReason.REVISION_BUILDING],
    ),
    "promoted": (status(pending_revision=pending("r2")), status(active="r2"), [EventReason.PROMOTED]),
    "rolled back": (status(active="r2"), progressing(Reason.ROLLED_BACK), [EventReason.ROLLED_BACK]),
    "rolled back and paused": (
        status(active="r2"),
        progressing(Reason.PAUSED_BY_ANNOTATION, handled=ROLLED_BACK),
        [EventReason.ROLLED_BACK],
    ),
    "promoted after a rollback": (
        status(handled=ROLLED_BACK),
        status(active="r3", handled=ROLLED_BACK),
        [EventReason.PROMOTED],
    ),
    "suspended": (FINE, SUSPENDED, [EventReason.SUSPENDED_BY_SPEC]),
    "resumed": (SUSPENDED, FINE, [EventReason.NOT_SUSPENDED]),
    "paused": (FINE, PAUSED, [EventReason.PAUSED_BY_ANNOTATION]),
    "paused no more": (PAUSED, FINE, [EventReason.NOT_PAUSED]),
    "request refused": (FINE, status(handled=REFUSED), [EventReason.REQUEST_REFUSED]),
    "request done": (FINE, status(handled=handled(RequestName.SYNC, "1", Outcome.DONE)), []),
    "another request refused": (
        status(handled=REFUSED),
        status(handled=handled(RequestName.PROMOTE, "r8", Outcome.REFUSED)),
        [EventReason.REQUEST_REFUSED],
    ),
    "deleted": (FINE, DELETING, [EventReason.DELETING]),
    "deletion blocked": (DELETING, BLOCKED, [EventReason.DELETION_BLOCKED]),
    "deletion goes on": (BLOCKED, DELETING, [EventReason.DELETING]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told(change: str) -> None:
    before, after, told = CHANGES[change]
    assert [happening.reason for happening in transitions(before, after)] == told


def test_every_reason_can_happen() -> None:
    assert {reason for _, _, told in CHANGES.values() for reason in told} == set(EventReason)


def test_what_asks_for_a_person_is_a_warning() -> None:
    warnings = {
        happening.reason
        for before, after, _ in CHANGES.values()
        for happening in transitions(before, after)
        if happening.type == "Warning"
    }
    assert warnings == {
        EventReason.PREPARING,
        EventReason.DATABASE_UNREACHABLE,
        EventReason.READ_ONLY_DATABASE,
        EventReason.DATABASE_FULL,
        EventReason.RUN_FAILED,
        EventReason.SOURCE_SHRUNK,
        EventReason.TOO_FEW_DOCUMENTS,
        EventReason.PROVIDER_UNAVAILABLE,
        EventReason.JOB_FAILED,
        EventReason.DOCUMENTS_FAILED,
        EventReason.PROVIDER_THROTTLED,
        EventReason.INVALID_SPEC,
        EventReason.NOT_ALLOWED,
        EventReason.ADOPTION_REFUSED,
        EventReason.AWAITING_APPROVAL,
        EventReason.REQUEST_REFUSED,
        EventReason.DELETION_BLOCKED,
    }


def test_a_note_says_what_the_condition_says_in_our_own_words() -> None:
    (shrunk,) = transitions(FINE, degraded(Reason.SOURCE_SHRUNK, "gone but not deleted: docs: 90 of 100 documents"))
    assert shrunk.note == "gone but not deleted: docs: 90 of 100 documents"
    (promoted,) = transitions(status(pending_revision=pending("r2")), status(active="r2"))
    assert promoted.note == "revision r2 (titan, 1024 dimensions) is active"
    (refused,) = transitions(FINE, status(handled=REFUSED))
    assert refused.note == "promote r9: there is no revision r9"


@pytest.mark.parametrize("reason", [Reason.RUN_FAILED, Reason.PROVIDER_UNAVAILABLE, Reason.DATABASE_UNREACHABLE])
def test_a_note_never_quotes_what_others_answered(reason: Reason) -> None:
    """It may hold a document's text or the name of a file."""
    (happening,) = transitions(FINE, degraded(reason, "cannot read salaries-2026.xlsx: 'Anna earns'"))
    assert happening.note == reason.summary


def test_a_long_note_is_cut() -> None:
    (happening,) = transitions(FINE, stalled(Reason.INVALID_SPEC, "x" * 2_000))
    assert len(happening.note) == MOST_NOTE_CHARACTERS
    assert happening.note.endswith("…")


conditions = st.builds(
    said, st.sampled_from(ConditionType), st.sampled_from(["True", "False", "Unknown"]), st.sampled_from(Reason)
)
revisions = st.none() | st.builds(pending, st.sampled_from(["r1", "r2", "r3"]))
answers = st.dictionaries(
    st.sampled_from(RequestName),
    st.builds(HandledStatus, value=st.text(max_size=256), outcome=st.sampled_from(Outcome), time=st.just(NOW)),
    max_size=3,
)
statuses = st.builds(
    RagIndexStatus,
    conditions=st.lists(conditions, unique_by=lambda one: one.type).map(tuple),
    active_revision=revisions,
    pending_revision=revisions,
    handled=answers,
)


@settings(deadline=None)
@given(statuses)
def test_no_change_gives_no_event(one: RagIndexStatus) -> None:
    assert transitions(one, one) == ()


@settings(deadline=None)
@given(st.none() | statuses, statuses)
def test_any_change_gives_the_same_events_each_time_and_none_twice(
    before: RagIndexStatus | None, after: RagIndexStatus
) -> None:
    happenings: tuple[Happening, ...] = transitions(before, after)
    assert happenings == transitions(before, after)
    assert len(set(happenings)) == len(happenings)
    assert all(0 < len(happening.note) <= MOST_NOTE_CHARACTERS for happening in happenings)
