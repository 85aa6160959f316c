"""Installations that share a database, and the epoch that says whose operator may write."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from ragindex_db.schema import installations


def raise_epoch(connection: Connection, installation: str, holder: str) -> int:
    """The new epoch: from now on nobody else's writes are taken."""
    statement = insert(installations).values(id=installation, epoch=1, holder=holder)
    raised = statement.on_conflict_do_update(
        index_elements=[installations.c.id],
        set_={"epoch": installations.c.epoch + 1, "holder": holder, "updated_at": sa.func.now()},
    )
    return int(connection.execute(raised.returning(installations.c.epoch)).scalar_one())


def holds(connection: Connection, installation: str, epoch: int) -> bool:
    """Whether this is still the epoch; locks it until the transaction ends, so that it stays so."""
    row = connection.execute(
        sa.select(installations.c.epoch).where(installations.c.id == installation).with_for_update(read=True)
    ).one_or_none()
    return row is not None and row.epoch == epoch
