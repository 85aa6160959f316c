"""The status that tells of an observation, and whether it is worth writing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ragindex_core.errors import FieldProblem
from ragindex_core.object.reasons import ConditionType, Reason, RequestName
from ragindex_core.object.resource import RagIndex, knowledge_base_id
from ragindex_core.object.revision import complete
from ragindex_core.object.status import (
    DatabaseStatus,
    DocumentsStatus,
    HandledStatus,
    IngestionStatus,
    PendingRevisionStatus,
    RagIndexStatus,
    RevisionStatus,
)
from ragindex_core.reconcile.conditions import findings, no, stamp, told, yes
from ragindex_core.reconcile.observed import Observed, Revision, RevisionState, Runs
from ragindex_core.reconcile.situation import Limits, Situation

#: Counts alone are written no more often than this.
COUNTS_EVERY = timedelta(seconds=30)

_NOTHING = RagIndexStatus()


def status_of(
    index: RagIndex,
    observed: Observed,
    previous: RagIndexStatus | None,
    now: datetime,
    limits: Limits | None = None,
) -> RagIndexStatus:
    """What to tell of the object. While the database is out of reach, what was last known of it stands."""
    s = Situation(index, observed, now, limits or Limits())
    before = previous or _NOTHING
    told_now: dict[str, Any] = {
        "observed_generation": index.metadata.generation,
        "conditions": stamp(findings(s), before.conditions, index.metadata.generation, now),
        "knowledge_base_id": knowledge_base_id(index.metadata.uid) if index.metadata.uid else None,
        "endpoint": observed.endpoint or before.endpoint,
    }
    if not observed.database.reachable:
        return before.model_copy(update=told_now)
    retained = sorted(observed.in_state(RevisionState.RETAINED), key=lambda r: r.number, reverse=True)
    return RagIndexStatus(
        **told_now,
        active_revision=_revision(s.active) if s.active is not None else None,
        pending_revision=_pending(s.candidate) if s.candidate is not None else None,
        retained_revisions=tuple(_revision(revision) for revision in retained[:8]),
        documents=_documents(s.serving) if s.serving is not None else None,
        ingestion=_ingestion(s),
        database=_database(s),
        handled=_handled(observed),
    )


def status_of_unreadable(
    generation: int, problems: Sequence[FieldProblem], previous: RagIndexStatus | None, now: datetime
) -> RagIndexStatus:
    """For an object that cannot even be read: what was known of it stands, and it is Stalled."""
    before = previous or _NOTHING
    message = told(problems)
    said = {
        ConditionType.STALLED: yes(Reason.INVALID_SPEC, message),
        ConditionType.PROGRESSING: no(Reason.INVALID_SPEC, message),
        ConditionType.RECONCILING: no(Reason.IN_FORCE),
    }
    if before.condition(ConditionType.READY) is None:
        said[ConditionType.READY] = no(Reason.INVALID_SPEC, message)
    others = tuple(condition for condition in before.conditions if condition.type not in said)
    conditions = (*others, *stamp(said, before.conditions, generation, now))
    return before.model_copy(update={"observed_generation": generation, "conditions": conditions})


def status_on_full_disk(status: RagIndexStatus, now: datetime) -> RagIndexStatus:
    """What was written last, beside what cannot be written down for want of room. That nothing is left to do is among
    it: work may have come since."""
    said = {
        ConditionType.DATABASE_REACHABLE: no(Reason.DATABASE_FULL),
        ConditionType.DEGRADED: yes(Reason.DATABASE_FULL),
    }
    progressing = status.condition(ConditionType.PROGRESSING)
    if progressing is not None and (progressing.status == "True" or progressing.reason is Reason.UP_TO_DATE):
        said[ConditionType.PROGRESSING] = no(Reason.DATABASE_FULL)
    stamped = {c.type: c for c in stamp(said, status.conditions, status.observed_generation or 0, now)}
    conditions = tuple(stamped.pop(condition.type, condition) for condition in status.conditions)
    return status.model_copy(update={"conditions": (*conditions, *stamped.values())})


def worth_writing(
    written: RagIndexStatus | None, wanted: RagIndexStatus, written_at: datetime | None, now: datetime
) -> bool:
    """An unchanged status is never written; one in which only counts moved, at most every 30 s. The size of the tables
    moves by itself while PostgreSQL tidies up, and is written along with what else is."""
    if written is not None and _without(_SIZE, written) == _without(_SIZE, wanted):
        return False
    if written is None or written_at is None or _without(_COUNTS, written) != _without(_COUNTS, wanted):
        return True
    return now - written_at >= COUNTS_EVERY


_COUNTS = frozenset(
    {"documents", "chunks", "documentsTotal", "total", "indexed", "pending", "failed", "sizeBytes", "message"}
    | {"estimatedTokens", "estimatedCost"}
)


_SIZE = frozenset({"sizeBytes"})


def _without(names: frozenset[str], status: RagIndexStatus) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if name not in names}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(status.to_wire())


def _described(revision: Revision) -> dict[str, Any]:
    built = complete(revision.projection)
    return {
        "id": revision.id,
        "key": revision.key,
        "provider": built["embedding.provider"],
        "model": built["embedding.model"],
        "dimensions": built["embedding.dimensions"],
        "documents": revision.documents.indexed,
        "chunks": revision.chunks,
        "effective_max_tokens": revision.effective_max_tokens,
        "promoted_at": revision.promoted_at,
    }


def _revision(revision: Revision) -> RevisionStatus:
    return RevisionStatus(**_described(revision))


def _pending(revision: Revision) -> PendingRevisionStatus:
    return PendingRevisionStatus(
        **_described(revision),
        documents_total=revision.documents.total + revision.missing,
        estimated_tokens=revision.estimated_tokens,
        estimated_cost=revision.estimated_cost,
    )


def _documents(revision: Revision) -> DocumentsStatus:
    counts = revision.documents
    return DocumentsStatus(
        total=counts.total + revision.missing,
        indexed=counts.indexed,
        pending=counts.unfinished + revision.missing,
        failed=counts.failed,
    )


def _ingestion(s: Situation) -> IngestionStatus:
    runs = s.observed.runs
    scheduled = s.schedule is not None and not s.problems and not s.index.spec.suspend
    return IngestionStatus(
        last_run=runs.last.id if runs.last is not None else None,
        last_start_time=_last_start(runs),
        last_completion_time=runs.last_ended.completed_at if runs.last_ended is not None else None,
        last_successful_time=runs.last_success.completed_at if runs.last_success is not None else None,
        next_scheduled_time=s.schedule.next_after(s.now) if scheduled and s.schedule is not None else None,
        consecutive_failures=runs.consecutive_failures,
    )


def _last_start(runs: Runs) -> datetime | None:
    """Of the latest run that a worker took: one that is only asked for has not begun."""
    begun = (run.started_at for run in (runs.last, runs.last_ended) if run is not None and run.started_at is not None)
    return next(begun, None)


def _database(s: Situation) -> DatabaseStatus:
    database = s.observed.database
    return DatabaseStatus(
        server_version=database.server_version,
        pgvector_version=database.pgvector_version,
        index_state=s.serving.vector_index.state.value if s.serving is not None else None,
        size_bytes=database.size_bytes,
    )


def _handled(observed: Observed) -> dict[RequestName, HandledStatus]:
    latest = sorted(observed.handled, key=lambda handled: handled.at)
    return {
        handled.name: HandledStatus(
            value=handled.value[:256], outcome=handled.outcome, message=handled.message, time=handled.at
        )
        for handled in latest
    }
