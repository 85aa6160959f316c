"""The work queue: the rows of ``revision_documents`` themselves, leased by the database's clock.

A claim counts the attempt and sets the lease in one short transaction; the work happens outside any; ``finish`` and
``fail`` check the lease, so that a worker that lost it changes nothing. A lease that ran out is work again.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ragindex_core.document import DocumentReason
from ragindex_db import schema
from ragindex_db.given import given
from ragindex_db.schema import documents, indexes, revision_documents, revisions

LEASE = timedelta(seconds=90)
_MOST_MESSAGE = 500
#: What the queue's partial index holds.
_UNFINISHED = ["Pending", "Processing"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One document of one revision, leased to one worker."""

    revision_id: int
    document_id: int
    index_id: int
    namespace: str
    token: str
    attempts: int
    source: str
    key: str
    uri: str
    source_version: str
    sidecar_version: str | None
    source_metadata: Mapping[str, Any]
    upload_id: int | None
    indexed_version: str | None
    parser: str | None
    layout: int | None


def claim(
    connection: Connection, owner: str, limit: int, *, index_id: int | None = None, without: Collection[int] = ()
) -> list[Claim]:
    """Up to ``limit`` documents that are due, oldest first, of one revision that may be embedded; not of those
    ``without`` which we do.

    Which one is left to chance among those with work, so that a large index does not keep a small one waiting.
    """
    rd = revision_documents
    with_work = (
        sa.select(revisions.c.id)
        .join(indexes, indexes.c.id == revisions.c.index_id)
        .where(
            *_may_be_embedded(),
            revisions.c.id.not_in(list(without)),
            sa.exists().where(rd.c.revision_id == revisions.c.id, *_due()),
        )
        .order_by(sa.func.random())
        .limit(1)
    )
    if index_id is not None:
        with_work = with_work.where(revisions.c.index_id == index_id)
    due = (
        sa.select(rd.c.revision_id, rd.c.document_id)
        .where(rd.c.revision_id == with_work.scalar_subquery(), *_due())
        .order_by(rd.c.next_attempt_at, rd.c.document_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = due.cte("due")
    claimed = (
        sa.update(rd)
        .where(rd.c.revision_id == chosen.c.revision_id, rd.c.document_id == chosen.c.document_id)
        .values(
            state="Processing",
            attempts=rd.c.attempts + 1,
            lease_owner=owner,
            lease_token=sa.func.gen_random_uuid(),
            lease_until=sa.func.now() + LEASE,
            next_attempt_at=sa.func.now() + LEASE,  # what makes an abandoned claim due again
            change=schema.change_numbers.next_value(),
        )
        .returning(*rd.c)
        .cte("claimed")
    )
    rows = connection.execute(
        sa.select(
            claimed.c.revision_id,
            claimed.c.document_id,
            claimed.c.index_id,
            claimed.c.namespace,
            claimed.c.lease_token.label("token"),
            claimed.c.attempts,
            documents.c.source,
            documents.c.key,
            documents.c.uri,
            documents.c.source_version,
            documents.c.sidecar_version,
            documents.c.source_metadata,
            documents.c.upload_id,
            claimed.c.indexed_version,
            claimed.c.parser,
            claimed.c.layout,
        ).join(documents, documents.c.id == claimed.c.document_id)
    )
    return [Claim(**row._mapping) for row in rows]


def hold(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Lock the documents and their queue rows for this transaction: those whose lease was not lost meanwhile.

    The documents come first, as they do in a delete, and in the order of their ids: one order of locks, no deadlock.
    """
    claims_by_id = {claim.document_id: claim for claim in claims}
    live = connection.execute(
        sa.select(documents.c.id)
        .where(documents.c.id.in_(list(claims_by_id)), documents.c.deleted_at.is_(None))
        .order_by(documents.c.id)
        .with_for_update(key_share=True)
    ).scalars()
    held = _locked(_leased([claims_by_id[i] for i in live]))
    ours = set(connection.execute(sa.select(held.c.document_id)).scalars())
    return [claim for claim in claims if claim.document_id in ours]


def renew(connection: Connection, claims: Sequence[Claim]) -> set[str]:
    """Longer leases for work still under way; the tokens that are still ours.

    A row that is locked is being written this moment, and is not waited for.
    """
    held = _locked(_leased(claims), skip_locked=True)
    rows = connection.execute(
        sa.update(revision_documents)
        .where(_same_row(held))
        .values(lease_until=sa.func.now() + LEASE, next_attempt_at=sa.func.now() + LEASE)
        .returning(revision_documents.c.lease_token)
    )
    return {row[0] for row in rows}


@dataclass(frozen=True, slots=True)
class Indexed:
    """That a claimed document is searchable, and in what form."""

    claim: Claim
    version: str
    content_id: int | None
    chunks: int
    tokens: int
    parser: str
    layout: int


def indexed(connection: Connection, done: Sequence[Indexed]) -> None:
    """Call after ``hold`` in the same transaction."""
    rd = revision_documents
    new = given(
        [(d.claim.token, d.version, d.content_id, d.chunks, d.tokens, d.parser, d.layout) for d in done],
        lease_token=rd.c.lease_token.type,
        indexed_version=sa.Text(),
        content_id=sa.BigInteger(),
        chunks=sa.Integer(),
        tokens=sa.BigInteger(),
        parser=sa.Text(),
        layout=sa.Integer(),
    )
    connection.execute(
        sa.update(rd)
        .where(rd.c.lease_token == new.c.lease_token, _leased([d.claim for d in done]))
        .values(
            state="Indexed",
            reason=None,
            message=None,
            indexed_version=new.c.indexed_version,
            content_id=new.c.content_id,
            chunks=new.c.chunks,
            tokens=new.c.tokens,
            parser=new.c.parser,
            layout=new.c.layout,
            indexed_at=sa.func.now(),
            **_released(),
        )
    )


def unchanged(connection: Connection, claim: Claim) -> None:
    """The bytes are those already indexed: nothing to do but say so."""
    connection.execute(
        sa.update(revision_documents)
        .where(_leased([claim]))
        .values(state="Indexed", reason=None, message=None, **_released())
    )


def failed(
    connection: Connection,
    claim: Claim,
    reason: DocumentReason,
    message: str,
    retry_after: timedelta | None,
) -> None:
    """With ``retry_after`` the document is tried again; without, it stays Failed until it changes or someone asks."""
    again: dict[str, Any] = (
        {"state": "Pending", "next_attempt_at": sa.func.now() + retry_after} if retry_after else {"state": "Failed"}
    )
    connection.execute(
        sa.update(revision_documents)
        .where(_leased([claim]))
        .values(reason=reason.value, message=message[:_MOST_MESSAGE], **{**_released(), **again})
    )


def embedding_trouble(connection: Connection, revision_ids: Sequence[int]) -> str | None:
    """What the latest document was told that waits because its model could not be used; None when none does."""
    rd = revision_documents.c
    return connection.execute(
        sa.select(rd.message)
        .where(
            rd.revision_id.in_(revision_ids),
            rd.state == "Pending",
            rd.reason == DocumentReason.EMBEDDING_FAILED.value,
        )
        .order_by(rd.next_attempt_at.desc(), rd.document_id)
        .limit(1)
    ).scalar_one_or_none()


def give_back(
    connection: Connection,
    claims: Sequence[Claim],
    delay: timedelta = timedelta(),
    *,
    counts: bool = False,
    reason: DocumentReason | None = None,
    message: str | None = None,
) -> None:
    """Unfinished through no fault of the document (a stop, a throttled provider): unless it ``counts``, the attempt
    is as if it had not been.

    With a reason, whoever looks at the document sees what it waits for.
    """
    told = {} if reason is None else {"reason": reason.value, "message": (message or "")[:_MOST_MESSAGE]}
    held = _locked(_leased(claims), revision_documents.c.state == "Processing")
    connection.execute(
        sa.update(revision_documents)
        .where(_same_row(held))
        .values(
            state="Pending",
            attempts=revision_documents.c.attempts - (0 if counts else 1),
            **told,
            **{**_released(), "next_attempt_at": sa.func.now() + delay},
        )
    )


def requeue(connection: Connection, index_id: int, document_ids: Sequence[int]) -> int:
    """These documents changed: every kept revision has to take them anew. A worker at work on one loses its lease."""
    rd = revision_documents.c
    return connection.execute(
        sa.update(revision_documents)
        .where(_same_row(_locked(rd.index_id == index_id, rd.document_id.in_(document_ids))))
        .values(state="Pending", reason=None, message=None, attempts=0, **_released())
    ).rowcount


def retry_failed(connection: Connection, revision_id: int) -> int:
    """Only what failed, or waits for another attempt after a failure, is tried again at once."""
    rd = revision_documents.c
    again = sa.or_(rd.state == "Failed", sa.and_(rd.state == "Pending", rd.reason.isnot(None)))
    return connection.execute(
        sa.update(revision_documents)
        .where(_same_row(_locked(rd.revision_id == revision_id, again)))
        .values(state="Pending", attempts=0, **_released())
    ).rowcount


def rebuild(connection: Connection, revision_id: int) -> int:
    """Parse every document again, with today's parser; unchanged chunks come out of the cache."""
    return connection.execute(
        sa.update(revision_documents)
        .where(_same_row(_locked(revision_documents.c.revision_id == revision_id)))
        .values(state="Pending", attempts=0, reason=None, message=None, parser=None, layout=None, **_released())
    ).rowcount


def next_due_seconds(
    connection: Connection, *, index_id: int | None = None, without: Collection[int] = ()
) -> float | None:
    """Seconds until the next document that can be claimed is due; None when there is none."""
    rd = revision_documents
    statement = (
        sa.select(sa.extract("epoch", sa.func.min(rd.c.next_attempt_at) - sa.func.now()))
        .join(revisions, revisions.c.id == rd.c.revision_id)
        .join(indexes, indexes.c.id == rd.c.index_id)
        .where(rd.c.state.in_(_UNFINISHED), *_may_be_embedded(), revisions.c.id.not_in(list(without)))
    )
    if index_id is not None:
        statement = statement.where(rd.c.index_id == index_id)
    value = connection.execute(statement).scalar_one()
    return None if value is None else float(value)


def _due() -> tuple[sa.ColumnElement[bool], ...]:
    rd = revision_documents.c
    return rd.state.in_(_UNFINISHED), rd.next_attempt_at <= sa.func.now()


def _may_be_embedded() -> tuple[sa.ColumnElement[bool], ...]:
    """Of a revision and its index, joined."""
    return (
        revisions.c.state.in_(["Building", "Active"]),
        revisions.c.tables_ready,
        revisions.c.embedding_allowed,
        sa.not_(indexes.c.suspended),
        indexes.c.retained_at.is_(None),
    )


def new_owner() -> str:
    return uuid.uuid4().hex


def _leased(claims: Sequence[Claim]) -> sa.ColumnElement[bool]:
    """Each is found by its key, and known by its token."""
    rd = revision_documents.c
    return sa.and_(
        rd.revision_id.in_({claim.revision_id for claim in claims}),
        rd.document_id.in_([claim.document_id for claim in claims]),
        rd.lease_token.in_([claim.token for claim in claims]),
    )


def _locked(*which: sa.ColumnElement[bool], skip_locked: bool = False) -> sa.CTE:
    """Rows locked in the order of their documents, as everyone does who changes several."""
    rd = revision_documents
    return (
        sa.select(rd.c.revision_id, rd.c.document_id)
        .where(*which)
        .order_by(rd.c.document_id, rd.c.revision_id)
        .with_for_update(skip_locked=skip_locked)
        .cte("locked")
    )


def _same_row(locked: sa.CTE) -> sa.ColumnElement[bool]:
    rd = revision_documents.c
    return sa.and_(rd.revision_id == locked.c.revision_id, rd.document_id == locked.c.document_id)


def _released() -> dict[str, Any]:
    return {
        "lease_owner": None,
        "lease_token": None,
        "lease_until": None,
        "next_attempt_at": sa.func.now(),
        "change": schema.change_numbers.next_value(),
    }
