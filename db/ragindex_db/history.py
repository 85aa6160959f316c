"""How long the catalogue remembers what was done and asked, and the removal of what is older."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ragindex_db.schema import conversation_turns, conversations, query_runs, requests, sync_runs, usage

#: Searches, answers, their usage, conversations, and requests that were answered.
KEPT_FOR = timedelta(days=90)
#: Of an index, besides the last one that succeeded.
SYNC_RUNS_KEPT = 100
#: Of an index and name, however old: an annotation that still stands must not act again.
REQUESTS_KEPT = 50


def trim(connection: Connection) -> int:
    """The number of rows removed."""
    before = sa.func.now() - KEPT_FOR
    late_turn = sa.exists().where(
        conversation_turns.c.conversation_id == conversations.c.id, conversation_turns.c.created_at >= before
    )
    statements = [
        sa.delete(query_runs).where(query_runs.c.created_at < before),
        sa.delete(usage).where(usage.c.created_at < before),
        sa.delete(conversations).where(conversations.c.created_at < before, sa.not_(late_turn)),
        _older_requests(before),
        _older_runs(),
    ]
    return sum(connection.execute(statement).rowcount for statement in statements)


def _older_requests(before: sa.ColumnElement[Any]) -> sa.Delete:
    place = sa.func.row_number().over(
        partition_by=[requests.c.index_id, requests.c.name], order_by=requests.c.id.desc()
    )
    ranked = sa.select(requests.c.id, place.label("place")).subquery()
    return sa.delete(requests).where(
        requests.c.handled_at < before,
        requests.c.id.in_(sa.select(ranked.c.id).where(ranked.c.place > REQUESTS_KEPT)),
    )


def _older_runs() -> sa.Delete:
    place = sa.func.row_number().over(partition_by=sync_runs.c.index_id, order_by=sync_runs.c.id.desc())
    ranked = sa.select(sync_runs.c.id, place.label("place")).subquery()
    last_success = (
        sa.select(sa.func.max(sync_runs.c.id)).where(sync_runs.c.state == "Succeeded").group_by(sync_runs.c.index_id)
    )
    return sa.delete(sync_runs).where(
        sync_runs.c.state.in_(["Succeeded", "Failed"]),
        sync_runs.c.id.in_(sa.select(ranked.c.id).where(ranked.c.place > SYNC_RUNS_KEPT)),
        sync_runs.c.id.not_in(last_success),
    )
