"""What people ask for by annotation or command, as far as it is neither a run nor a switch of revisions."""

from __future__ import annotations

from collections.abc import Iterator

from ragindex_core.object.reasons import Outcome, RequestName
from ragindex_core.reconcile.actions import (
    Action,
    AnswerRequest,
    Approve,
    RebuildDocuments,
    ReleaseHold,
    RetryFailed,
)
from ragindex_core.reconcile.observed import Request, RevisionState
from ragindex_core.reconcile.situation import Situation


def done(request: Request, message: str = "") -> AnswerRequest:
    return AnswerRequest(request.name, request.value, Outcome.DONE, message)


def refused(request: Request, message: str) -> AnswerRequest:
    return AnswerRequest(request.name, request.value, Outcome.REFUSED, message)


def answer_requests(s: Situation) -> Iterator[Action]:
    for request in s.requests:
        match request.name:
            case RequestName.APPROVE:
                yield from _approve(s, request)
            case RequestName.PROMOTE:
                yield from _promote(s, request)
            case RequestName.ROLLBACK:
                yield from _rollback_that_cannot_be(s, request)
            case RequestName.RETRY_FAILED if s.fed:
                yield RetryFailed(frozenset(revision.number for revision in s.fed))
                yield done(request)
            case RequestName.REBUILD if s.fed:
                yield RebuildDocuments(frozenset(revision.number for revision in s.fed))
                yield done(request)
            case RequestName.ADOPT_FROM:
                yield refused(request, "this index has data of its own; adoption is for a new object")
            case _:
                pass  # runs are started elsewhere, and what concerns revisions waits for the first


def _approve(s: Situation, request: Request) -> Iterator[Action]:
    revision = next((revision for revision in s.buildings if revision.id == request.target), None)
    if revision is None:
        yield refused(request, f"no revision {request.target} is being built")
        return
    yield Approve(revision.number)
    yield done(request)


def _promote(s: Situation, request: Request) -> Iterator[Action]:
    """The promotion itself is a switch, made once the revision is ready; until then the request waits."""
    revision = next((revision for revision in s.observed.revisions if revision.id == request.target), None)
    if revision is None or revision.state is RevisionState.DROPPING:
        yield refused(request, f"there is no revision {request.target}")
    elif revision.state is RevisionState.ACTIVE:
        yield done(request, f"{request.target} is the active revision already")
    elif revision.key != s.key:
        yield refused(
            request, f"{request.target} does not have the spec's model and chunking; use rollback for a former one"
        )
    elif s.held and revision.state is RevisionState.RETAINED:
        yield ReleaseHold()


def _rollback_that_cannot_be(s: Situation, request: Request) -> Iterator[Action]:
    if s.active is not None and s.active.id == request.target:
        yield done(request, f"{request.target} is the active revision already")
        return
    kept = ", ".join(revision.id for revision in s.observed.in_state(RevisionState.RETAINED)) or "none"
    yield refused(request, f"{request.target} is not kept for rollback; kept: {kept}")
