"""Workers killed at any moment: every document is there once, with all its chunks, and nothing else is."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.engine.conftest import Embedders, Engine
from tests.integration.faults.intact import check_intact

from ragindex_db import schema
from ragindex_db.engine import Database
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

#: The whole of it takes minutes; RAGINDEX_FAULTS=long runs that.
LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
DOCUMENTS, KILLS = (10_000, 200) if LONG else (120, 4)
#: Every document that is taken out of the queue, as the database saw it.
_WATCH = """
    CREATE TABLE takings (document_id bigint, token uuid);
    CREATE FUNCTION note_taking() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO takings VALUES (NEW.document_id, NEW.lease_token); RETURN NULL; END $$;
    CREATE TRIGGER taking AFTER UPDATE ON ragindex.revision_documents FOR EACH ROW
        WHEN (NEW.lease_token IS NOT NULL AND NEW.lease_token IS DISTINCT FROM OLD.lease_token)
        EXECUTE FUNCTION note_taking();
"""


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Engine:
    """An index whose folder is listed and whose documents wait."""
    engine = Engine(
        database=database,
        folder=tmp_path,
        reconciler=Reconciler(database, Fence.raised(database, "test", "me"), LocalWorkforce(), Builds(lambda: None)),
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
    with database.begin() as connection:
        connection.execute(sa.text(_WATCH))
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


def ended_by_itself(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def indexed(database: Database) -> int:
    rd = schema.revision_documents
    with database.begin() as connection:
        counted = sa.select(sa.func.count()).where(rd.c.state == "Indexed")
        return connection.execute(counted).scalar_one()


def as_if_leases_ran_out(database: Database) -> None:
    rd = schema.revision_documents
    with database.begin() as connection:
        connection.execute(
            sa.update(rd)
            .where(rd.c.state == "Processing")
            .values(lease_until=sa.func.now(), next_attempt_at=sa.func.now() - timedelta(days=1))
        )


def test_workers_killed_at_random_lose_and_double_nothing(filled: Engine, database_url: str) -> None:
    worker, chance = OneWorker(filled, database_url), random.Random(17)
    done = 0
    for kill in range(KILLS):
        process = worker.start()
        # From none at all to twice the share of a life: so kills lie all over the documents, however fast they go.
        until = min(done + chance.randint(0, 2 * DOCUMENTS // KILLS), DOCUMENTS * (kill + 1) // KILLS - 1)
        deadline = time.monotonic() + 120
        with process:
            while (done := indexed(filled.database)) < until:
                assert time.monotonic() < deadline, "it gets on"
                ended_by_itself(process, 0.02)
            if not ended_by_itself(process, chance.uniform(0, 0.1)):
                process.kill()
        assert process.wait() == -9, "it was at work"
        as_if_leases_ran_out(filled.database)
    with worker.start() as last:
        assert last.wait(600) == 0
    chunks = check_intact(filled.database, filled.serving, DOCUMENTS)
    takings = check_attempts(filled.database)
    print(f"{KILLS} kills over {DOCUMENTS} documents: {chunks} chunks, {takings} attempts")  # noqa: T201  with -s


def check_attempts(database: Database) -> int:
    """Each time that a document was taken counts as one attempt, and none counts twice. Gives their number."""
    rd = schema.revision_documents
    with database.begin() as connection:
        attempts = {row[0]: row[1] for row in connection.execute(sa.select(rd.c.document_id, rd.c.attempts))}
        counted = sa.text("SELECT document_id, count(*), count(DISTINCT token) FROM takings GROUP BY document_id")
        takings = {row[0]: (row[1], row[2]) for row in connection.execute(counted)}
    assert {document: (n, n) for document, n in attempts.items()} == takings
    return sum(attempts.values())
