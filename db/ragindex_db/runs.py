"""Sync runs: one at a time for an index; a trigger that comes meanwhile joins the run that has not begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from ragindex_db.schema import indexes, sync_runs

LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class SyncRun:
    id: int
    index_id: int
    trigger: str
    state: str
    reason: str | None
    message: str | None
    sources: Mapping[str, Any]
    accepted_sources: tuple[str, ...]
    inputs: str
    lease_token: str | None
    requested_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


_COLUMNS = [sync_runs.c[name] for name in SyncRun.__slots__]


def request(
    connection: Connection, index_id: int, trigger: str, inputs: str, *, accepted_sources: Sequence[str] = ()
) -> bool:
    """Ask for a run; False when one is under way or waits already."""
    statement = (
        insert(sync_runs)
        .values(index_id=index_id, trigger=trigger, inputs=inputs, accepted_sources=list(accepted_sources))
        .on_conflict_do_nothing()
    )
    return connection.execute(statement).rowcount == 1


def claim(connection: Connection, owner: str, *, index_id: int | None = None) -> SyncRun | None:
    """The oldest run that waits, or whose worker is gone; never one of a suspended index."""
    due = (
        sa.select(sync_runs.c.id)
        .join(indexes, indexes.c.id == sync_runs.c.index_id)
        .where(
            sync_runs.c.state.in_(["Pending", "Running"]),
            sa.or_(sync_runs.c.state == "Pending", sync_runs.c.lease_until < sa.func.now()),
            sa.not_(indexes.c.suspended),
            indexes.c.retained_at.is_(None),
        )
        .order_by(sync_runs.c.id)
        .limit(1)
        .with_for_update(of=sync_runs, skip_locked=True)
    )
    if index_id is not None:
        due = due.where(sync_runs.c.index_id == index_id)
    statement = (
        sa.update(sync_runs)
        .where(sync_runs.c.id == due.scalar_subquery())
        .values(
            state="Running",
            started_at=sa.func.coalesce(sync_runs.c.started_at, sa.func.now()),
            lease_owner=owner,
            lease_token=sa.func.gen_random_uuid(),
            lease_until=sa.func.now() + LEASE,
        )
        .returning(*_COLUMNS)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else SyncRun(**row._mapping)


def renew(connection: Connection, run: SyncRun, sources: Mapping[str, Any]) -> bool:
    """Longer lease and the counts so far; False when the run is no longer ours. Locks the row for the transaction,
    so that what else is written in it is written by the holder of the lease alone."""
    statement = (
        sa.update(sync_runs)
        .where(sync_runs.c.id == run.id, sync_runs.c.lease_token == run.lease_token, sync_runs.c.state == "Running")
        .values(lease_until=sa.func.now() + LEASE, sources=dict(sources))
    )
    return connection.execute(statement).rowcount == 1


def finish(
    connection: Connection,
    run: SyncRun,
    *,
    succeeded: bool,
    reason: str | None,
    message: str | None,
    sources: Mapping[str, Any],
) -> None:
    connection.execute(
        sa.update(sync_runs)
        .where(sync_runs.c.id == run.id, sync_runs.c.lease_token == run.lease_token)
        .values(
            state="Succeeded" if succeeded else "Failed",
            reason=reason,
            message=message,
            sources=dict(sources),
            completed_at=sa.func.now(),
            lease_owner=None,
            lease_token=None,
            lease_until=None,
        )
    )


def give_back(connection: Connection, run: SyncRun) -> None:
    """A stop asked for in the middle: the next worker begins it anew."""
    connection.execute(
        sa.update(sync_runs)
        .where(sync_runs.c.id == run.id, sync_runs.c.lease_token == run.lease_token)
        .values(state="Pending", lease_owner=None, lease_token=None, lease_until=None)
    )


def latest(connection: Connection, index_id: int, limit: int = 20) -> list[SyncRun]:
    rows = connection.execute(
        sa.select(*_COLUMNS).where(sync_runs.c.index_id == index_id).order_by(sync_runs.c.id.desc()).limit(limit)
    )
    return [SyncRun(**row._mapping) for row in rows]


def get(connection: Connection, index_id: int, run_id: int) -> SyncRun | None:
    row = connection.execute(
        sa.select(*_COLUMNS).where(sync_runs.c.index_id == index_id, sync_runs.c.id == run_id)
    ).one_or_none()
    return None if row is None else SyncRun(**row._mapping)


def last_success(connection: Connection, index_id: int) -> SyncRun | None:
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(sync_runs.c.index_id == index_id, sync_runs.c.state == "Succeeded")
        .order_by(sync_runs.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else SyncRun(**row._mapping)


def consecutive_failures(connection: Connection, index_id: int) -> int:
    success = (
        sa.select(sa.func.coalesce(sa.func.max(sync_runs.c.id), 0))
        .where(sync_runs.c.index_id == index_id, sync_runs.c.state == "Succeeded")
        .scalar_subquery()
    )
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(sync_runs)
        .where(sync_runs.c.index_id == index_id, sync_runs.c.state == "Failed", sync_runs.c.id > success)
    ).scalar_one()
