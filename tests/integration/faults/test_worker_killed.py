"""Workers killed at any moment: every document is there once, with all its chunks, and nothing else is."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.engine.conftest import Embedders, Engine, Workforce

from ragindex_db import schema
from ragindex_db.engine import Database
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

#: The whole of it takes minutes; RAGINDEX_FAULTS=long runs that.
LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
DOCUMENTS, KILLS = (10_000, 200) if LONG else (600, 12)
_CLAIMED_AT_ONCE = 16  # two threads of eight


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Engine:
    """An index whose folder is listed and whose documents wait."""
    engine = Engine(
        database=database,
        folder=tmp_path,
        reconciler=Reconciler(database, Fence.raised(database, "test", "me"), Workforce(), Builds(lambda: None)),
        embedders=Embedders(),
        scratch=tmp_path / "scratch",
        built=threading.Event(),
        uid=str(uuid.uuid4()),
    )
    engine.scratch.mkdir()
    engine.document["spec"]["embedding"]["dimensions"] = 32
    engine.document["spec"]["ingestion"] = {"maxAttemptsPerDocument": 20}
    engine.document["spec"]["sources"] = [{"name": "files", "directory": {"path": "files"}}]
    for n in range(DOCUMENTS):
        engine.write(f"{n % 100:02}/{n:05}.md", f"# Number {n}\n\n" + f"Tower {n} has a keeper. " * (1 + n % 40))
    engine.reconcile()
    engine.sync_only()
    engine.reconcile()
    return engine


class OneWorker:
    """The process, started anew after each kill."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._command = [sys.executable, "-m", "tests.integration.faults.one_worker", url, str(engine.scratch)]

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


def as_if_leases_ran_out(database: Database) -> None:
    rd = schema.revision_documents
    with database.begin() as connection:
        connection.execute(
            sa.update(rd)
            .where(rd.c.state == "Processing")
            .values(lease_until=sa.func.now(), next_attempt_at=sa.func.now() - timedelta(seconds=1))
        )


def test_workers_killed_at_random_lose_and_double_nothing(filled: Engine, database_url: str) -> None:
    worker, chance = OneWorker(filled, database_url), random.Random(17)
    kills = 0
    while kills < KILLS:
        process = worker.start()
        try:
            process.wait(chance.uniform(0.02, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        assert process.wait() in (0, -9)
        if process.stdout:
            process.stdout.close()
        as_if_leases_ran_out(filled.database)
        if process.returncode == 0:
            break  # all is done sooner than it could be killed often enough
    last = worker.start()
    assert last.wait(600) == 0
    if last.stdout:
        last.stdout.close()
    print(f"{kills} kills over {DOCUMENTS} documents")  # noqa: T201  the figure, with -s
    assert kills >= min(KILLS, 5)
    check_everything_is_there_once(filled, kills)


def check_everything_is_there_once(engine: Engine, kills: int) -> None:
    tables, rd = engine.serving.tables, schema.revision_documents
    with engine.database.begin() as connection:

        def one(statement: Any) -> Any:
            return connection.execute(statement).scalar_one()

        def pairs(statement: Any) -> dict[Any, Any]:
            return {row[0]: row[1] for row in connection.execute(statement)}

        states = pairs(sa.select(rd.c.state, sa.func.count()).group_by(rd.c.state))
        assert states == {"Indexed": DOCUMENTS}
        attempts = one(sa.select(sa.func.sum(rd.c.attempts)))
        assert DOCUMENTS <= attempts <= DOCUMENTS + kills * _CLAIMED_AT_ONCE, "no attempt is counted twice"
        counted = pairs(sa.select(tables.chunk.c.document_id, sa.func.count()).group_by(tables.chunk.c.document_id))
        told = pairs(sa.select(rd.c.document_id, rd.c.chunks))
        assert counted == told, "no chunk is missing, doubled or orphaned"
        ids = set(connection.execute(sa.select(tables.chunk.c.id).where(tables.chunk.c.searchable)).scalars())
        assert set(connection.execute(sa.select(tables.vector.c.chunk_id)).scalars()) == ids
        assert set(connection.execute(sa.select(tables.keyword.terms.c.chunk_id)).scalars()) == ids
        contents = one(sa.select(sa.func.count()).select_from(schema.contents))
        assert contents == DOCUMENTS
