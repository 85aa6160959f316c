"""What is true of an object now, as conditions with reasons from the closed lists.

Each function below answers for one type of condition and reads from the most to the least pressing. Messages name
documents only by their number, so that they change no more often than the counts do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ragindex_core.errors import FieldProblem
from ragindex_core.object.reasons import ConditionType, Reason
from ragindex_core.object.revision import complete
from ragindex_core.object.spec import DeletionPolicy
from ragindex_core.object.status import MOST_MESSAGE_CHARACTERS, Condition
from ragindex_core.reconcile.observed import RunState
from ragindex_core.reconcile.situation import Situation


@dataclass(frozen=True, slots=True)
class Finding:
    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str = ""


def yes(reason: Reason, message: str = "") -> Finding:
    return Finding("True", reason, message)


def no(reason: Reason, message: str = "") -> Finding:
    return Finding("False", reason, message)


def stamp(
    findings: Mapping[ConditionType, Finding], previous: Iterable[Condition], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Conditions with their dates: a condition whose status did not change keeps its date."""
    before = {condition.type: condition for condition in previous}
    stamped = []
    for type_, finding in findings.items():
        same = before.get(type_)
        kept = same is not None and same.status == finding.status
        message = finding.message or finding.reason.summary
        if len(message) > MOST_MESSAGE_CHARACTERS:
            message = f"{message[: MOST_MESSAGE_CHARACTERS - 1]}…"
        stamped.append(
            Condition(
                type=type_,
                status=finding.status,
                reason=finding.reason,
                message=message,
                observed_generation=generation,
                last_transition_time=same.last_transition_time if kept and same is not None else now,
            )
        )
    return tuple(stamped)


def findings(s: Situation) -> dict[ConditionType, Finding]:
    """Every type of condition, always all of them."""
    return {type_: find(s) for type_, find in _FINDERS.items()}


def told(problems: Iterable[FieldProblem]) -> str:
    return "; ".join(str(problem) for problem in problems)


def _ready(s: Situation) -> Finding:
    if s.index.deleting:
        return no(Reason.DELETING)
    if not s.observed.database.reachable:
        return no(Reason.DATABASE_UNREACHABLE, s.observed.database.message)
    if s.serving is None or not s.serving.tables_ready:
        return no(Reason.PREPARING) if not s.stalled else no(*_obstacle(s))
    return yes(Reason.SERVING) if s.active is not None else yes(Reason.FILLING)


def _database_reachable(s: Situation) -> Finding:
    if not s.observed.database.reachable:
        return no(Reason.DATABASE_UNREACHABLE, s.observed.database.message)
    if not s.observed.database.writable:
        return no(Reason.READ_ONLY_DATABASE, s.observed.database.message)
    if s.observed.database.full:
        return no(Reason.DATABASE_FULL)
    return yes(Reason.CONNECTED)


def _schema_ready(s: Situation) -> Finding:
    if not s.observed.database.reachable:
        return Finding("Unknown", Reason.DATABASE_UNREACHABLE)
    there = s.serving is not None and s.serving.tables_ready
    return yes(Reason.TABLES_READY) if there else no(Reason.PREPARING)


def _ingested(s: Situation) -> Finding:
    if not s.observed.database.reachable:
        return Finding("Unknown", Reason.DATABASE_UNREACHABLE)
    if s.observed.runs.last_ended is None:
        return no(Reason.NEVER_RUN)
    if (trouble := _source_trouble(s)) is not None:
        return no(*trouble)
    if s.serving is None or s.serving.documents.unfinished or s.serving.missing:
        return no(Reason.EMBEDDING)
    return yes(Reason.COMPLETE)


def _source_trouble(s: Situation) -> tuple[Reason, str] | None:
    ended = s.observed.runs.last_ended
    if ended is None:
        return None
    if ended.shrunk:
        lost = ", ".join(f"{shrink.source}: {shrink.gone} of {shrink.known} documents" for shrink in ended.shrunk)
        return Reason.SOURCE_SHRUNK, f"gone but not deleted: {lost}; to agree: ragindex.io/accept-shrink: {ended.id}"
    return (Reason.RUN_FAILED, ended.message) if ended.state is RunState.FAILED else None


def _progressing(s: Situation) -> Finding:
    if s.index.deleting:
        blocked = s.index.spec.deletion_policy is DeletionPolicy.DELETE and not s.database_ready
        blocked = blocked and s.index.annotation("force-release") is None
        return no(Reason.DELETION_BLOCKED) if blocked else yes(Reason.DELETING)
    if s.paused:
        return no(Reason.PAUSED_BY_ANNOTATION)
    if not s.database_ready:
        return _database_reachable(s)
    if s.stalled:
        return no(*_obstacle(s))
    if s.observed.index is None or s.serving is None or not s.serving.tables_ready:
        return yes(Reason.PREPARING)
    found = _waiting_for_a_person(s) or _at_work(s) or _at_rest(s)
    return no(Reason.DATABASE_FULL) if found.status == "True" and s.observed.database.full else found


def _waiting_for_a_person(s: Situation) -> Finding | None:
    candidate = s.candidate
    if candidate is not None and not candidate.embedding_allowed and s.over_budget(candidate):
        most = s.index.spec.rollout.max_estimated_tokens
        return no(
            Reason.AWAITING_APPROVAL,
            f"revision {candidate.id} is estimated at {candidate.estimated_tokens} tokens, more than "
            f"maxEstimatedTokens ({most}); to agree: ragindex.io/approve: {candidate.id}",
        )
    if s.held and s.active is not None and s.active.key != s.key:
        return no(Reason.ROLLED_BACK)
    if candidate is None or s.active is None:
        return None
    if s.ready_for_promotion(candidate) and not s.promotes_by_itself:
        return no(
            Reason.AWAITING_PROMOTION,
            f"revision {candidate.id} is ready; to promote it: ragindex.io/promote: {candidate.id}",
        )
    readiness = s.readiness(candidate)
    if readiness.settled and not readiness.loaded:
        percent = s.index.spec.rollout.min_documents_percent
        return no(
            Reason.TOO_FEW_DOCUMENTS,
            f"revision {candidate.id} holds less than minDocumentsPercent ({percent}) of the live documents; mend them "
            f"and set ragindex.io/retry-failed, or set ragindex.io/promote: {candidate.id}",
        )
    return None


def _unfinished(s: Situation) -> bool:
    return s.observed.runs.under_way or any(r.documents.unfinished or r.missing for r in s.fed)


def _at_work(s: Situation) -> Finding | None:
    unfinished = any(revision.documents.unfinished or revision.missing for revision in s.fed)
    if s.index.spec.suspend:
        outstanding = unfinished or s.due is not None or s.candidate is not None
        return no(Reason.SUSPENDED_BY_SPEC, "work waits until spec.suspend is false") if outstanding else None
    if s.candidate is not None:
        if s.active is None:
            return yes(Reason.FILLING)
        return yes(Reason.INDEX_BUILDING if s.readiness(s.candidate).loaded else Reason.REVISION_BUILDING)
    if s.observed.crew.queued and (s.observed.runs.under_way or unfinished):
        return yes(Reason.QUEUED)
    if s.observed.runs.under_way:
        return yes(Reason.SYNCING)
    if s.due is not None:
        return yes(Reason.RUN_DUE)
    if unfinished:
        return yes(Reason.EMBEDDING)
    if s.active is not None and s.lacks_index(s.active):
        return yes(Reason.INDEX_BUILDING)
    return None


def _at_rest(s: Situation) -> Finding:
    trouble = _source_trouble(s)
    return no(*trouble) if trouble is not None else no(Reason.UP_TO_DATE)


def _degraded(s: Situation) -> Finding:
    if not s.observed.database.reachable:
        return yes(Reason.DATABASE_UNREACHABLE, s.observed.database.message)
    if s.observed.database.full:
        return yes(Reason.DATABASE_FULL)
    if (trouble := _source_trouble(s)) is not None:
        return yes(*trouble)
    waiting = _waiting_for_a_person(s)
    if waiting is not None and waiting.reason is Reason.TOO_FEW_DOCUMENTS:
        return yes(waiting.reason, waiting.message)
    if s.observed.provider_trouble is not None:
        return yes(Reason.PROVIDER_UNAVAILABLE, s.observed.provider_trouble)
    if s.observed.crew.trouble is not None and _unfinished(s):
        return yes(Reason.JOB_FAILED, s.observed.crew.trouble)
    failed = s.serving.documents.failed if s.serving is not None else 0
    if failed:
        return yes(Reason.DOCUMENTS_FAILED, f"documents that could not be indexed: {failed}")
    return no(Reason.HEALTHY)


def _suspended(s: Situation) -> Finding:
    return yes(Reason.SUSPENDED_BY_SPEC) if s.index.spec.suspend else no(Reason.NOT_SUSPENDED)


def _paused(s: Situation) -> Finding:
    return yes(Reason.PAUSED_BY_ANNOTATION) if s.paused else no(Reason.NOT_PAUSED)


def _throttled(s: Situation) -> Finding:
    models = {str(complete(revision.projection)["embedding.model"]) for revision in s.fed}
    waiting = sorted(model for model in models if (until := s.observed.throttled_until.get(model)) and until > s.now)
    if waiting:
        return yes(Reason.PROVIDER_THROTTLED, f"the provider asked to wait for {', '.join(waiting)}")
    return no(Reason.NOT_THROTTLED)


def _reconciling(s: Situation) -> Finding:
    progressing = _progressing(s)
    in_force = s.active is not None and s.active.key == s.key and s.listed_once
    under_way = progressing.status == "True" or not s.database_ready or s.observed.database.full
    if s.index.deleting or (under_way and not in_force and not s.paused):
        return yes(progressing.reason, progressing.message)
    return no(Reason.IN_FORCE)


def _stalled(s: Situation) -> Finding:
    return yes(*_obstacle(s)) if s.stalled and not s.index.deleting else no(Reason.NOT_STALLED)


def _obstacle(s: Situation) -> tuple[Reason, str]:
    if s.problems:
        return Reason.INVALID_SPEC, told(s.problems)
    if s.observed.refusals:
        return Reason.NOT_ALLOWED, told(s.observed.refusals)
    return Reason.ADOPTION_REFUSED, ""


_FINDERS: dict[ConditionType, Callable[[Situation], Finding]] = {
    ConditionType.READY: _ready,
    ConditionType.DATABASE_REACHABLE: _database_reachable,
    ConditionType.SCHEMA_READY: _schema_ready,
    ConditionType.INGESTED: _ingested,
    ConditionType.PROGRESSING: _progressing,
    ConditionType.DEGRADED: _degraded,
    ConditionType.SUSPENDED: _suspended,
    ConditionType.PAUSED: _paused,
    ConditionType.THROTTLED: _throttled,
    ConditionType.RECONCILING: _reconciling,
    ConditionType.STALLED: _stalled,
}
