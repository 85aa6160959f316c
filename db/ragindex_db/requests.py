"""What people ask of an index (sync, retry-failed, promote, …): each value acts once and keeps its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import distinct_on, insert

from ragindex_db.schema import requests


@dataclass(frozen=True, slots=True)
class Request:
    id: int
    index_id: int
    name: str
    value: str
    origin: str
    created_at: datetime
    handled_at: datetime | None
    outcome: str | None
    message: str | None


_COLUMNS = [requests.c[name] for name in Request.__slots__]


def add(connection: Connection, index_id: int, name: str, value: str, origin: str) -> bool:
    """False when this value was asked for before: it has acted, or will, once."""
    statement = (
        insert(requests).values(index_id=index_id, name=name, value=value, origin=origin).on_conflict_do_nothing()
    )
    return connection.execute(statement).rowcount == 1


def waiting(connection: Connection, index_id: int) -> list[Request]:
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(requests.c.index_id == index_id, requests.c.handled_at.is_(None))
        .order_by(requests.c.id)
    )
    return [Request(**row._mapping) for row in rows]


def handled(connection: Connection, index_id: int) -> dict[str, Request]:
    """The last one of each name that was answered."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(requests.c.index_id == index_id, requests.c.handled_at.isnot(None))
        .ext(distinct_on(requests.c.name))
        .order_by(requests.c.name, requests.c.id.desc())
    )
    return {row.name: Request(**row._mapping) for row in rows}


def find(connection: Connection, index_id: int, name: str, value: str) -> Request | None:
    row = connection.execute(
        sa.select(*_COLUMNS).where(requests.c.index_id == index_id, requests.c.name == name, requests.c.value == value)
    ).one_or_none()
    return None if row is None else Request(**row._mapping)


def answer(
    connection: Connection, index_id: int, name: str, value: str, outcome: str, message: str, origin: str = "annotation"
) -> None:
    """Record that the value has acted; the row is made for one that was only an annotation until now."""
    statement = insert(requests).values(
        index_id=index_id,
        name=name,
        value=value,
        origin=origin,
        handled_at=sa.func.now(),
        outcome=outcome,
        message=message,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[requests.c.index_id, requests.c.name, requests.c.value],
            set_={"handled_at": sa.func.now(), "outcome": outcome, "message": message},
            where=requests.c.handled_at.is_(None),
        )
    )
