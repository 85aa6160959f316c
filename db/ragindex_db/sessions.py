"""The sessions of other processes: who takes over from a predecessor ends what that one still has under way."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection


def end_others(connection: Connection, prefix: str, own: str) -> int:
    """Ends the sessions whose application name begins with ``prefix`` and is not ``own``; gives how many there were."""
    activity = sa.table("pg_stat_activity", sa.column("pid"), sa.column("application_name"), schema="pg_catalog")
    theirs = (
        sa.select(activity.c.pid)
        .where(activity.c.application_name.startswith(prefix, autoescape=True), activity.c.application_name != own)
        .cte("theirs")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    ended = connection.execute(sa.select(sa.func.pg_terminate_backend(theirs.c.pid)))
    return len(ended.all())
