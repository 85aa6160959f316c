"""What was done and asked is remembered for a while, and what still matters for as long as it does."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from ragindex_db import history, indexes, requests, runs, schema
from ragindex_db.engine import Connection, Database

OLD = sa.func.now() - history.KEPT_FOR - timedelta(minutes=1)


def an_index(connection: Connection) -> int:
    connection.execute(sa.insert(schema.installations).values(id="test"))
    return indexes.register(
        connection,
        installation="test",
        uid="00000000-0000-0000-0000-000000000001",
        namespace="default",
        name="notes",
        generation=1,
        object_metadata={},
        spec={},
        knowledge_base_id="ABCDEFGHIJ",
        base_path=None,
        suspended=False,
    ).id


def test_the_last_runs_and_the_last_success_are_kept(database: Database) -> None:
    states = ["Succeeded", "Succeeded", *["Failed"] * history.SYNC_RUNS_KEPT, "Pending"]
    with database.begin() as connection:
        index_id = an_index(connection)
        for state in states:
            connection.execute(
                sa.insert(schema.sync_runs).values(index_id=index_id, trigger="Schedule", inputs="", state=state)
            )
        history.trim(connection)
        left = [run.state for run in runs.latest(connection, index_id, 1000)]
        success = runs.last_success(connection, index_id)
    assert left == ["Pending", *["Failed"] * (history.SYNC_RUNS_KEPT - 1), "Succeeded"]
    assert success is not None
    assert success.id == 2


def test_answered_requests_go_when_old_but_the_latest_of_each_name_stay(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        for n in range(history.REQUESTS_KEPT + 3):
            requests.answer(connection, index_id, "sync", str(n), "Done", "")
        requests.answer(connection, index_id, "rebuild", "once", "Done", "")
        connection.execute(sa.update(schema.requests).values(handled_at=OLD))
        requests.add(connection, index_id, "sync", "waits", "test")
        history.trim(connection)
        rows = connection.execute(sa.select(schema.requests.c.name, schema.requests.c.value)).all()
    kept = {value for name, value in rows if name == "sync"}
    assert kept == {"waits", *map(str, range(4, history.REQUESTS_KEPT + 3))}
    assert ("rebuild", "once") in {tuple(row) for row in rows}


def test_what_was_asked_and_used_is_remembered_for_a_while(database: Database) -> None:
    tables: dict[sa.Table, dict[str, Any]] = {
        schema.query_runs: {"kind": "Search", "milliseconds": 1.0},
        schema.usage: {"namespace": "default", "stage": "Query", "route": "a"},
        schema.conversations: {"namespace": "default"},
    }
    with database.begin() as connection:
        index_id = an_index(connection)
        for table, values in tables.items():
            for created in (OLD, sa.func.now()):
                own: dict[str, Any] = {} if table is schema.usage else {"id": str(uuid.uuid4())}
                row = {"index_id": index_id, "created_at": created, **own, **values}
                connection.execute(sa.insert(table).values(row))
        removed = history.trim(connection)
        left = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables]
    assert (removed, left) == (3, [1, 1, 1])
