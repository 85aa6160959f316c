"""The build of a vector index dies half way: what is searched stays exact and complete, and the build is done again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import sqlalchemy as sa
from tests.integration.api.library import serve
from tests.integration.engine.conftest import Embedders, Engine
from tests.integration.faults.world import eventually

from ragindex_core.reconcile.observed import VectorIndexState
from ragindex_core.reconcile.situation import Limits
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db.engine import Database
from ragindex_db.search import IndexState, vector_index_state
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

_DOCUMENTS = 24
_WAITS = "SELECT pid, index_relid FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'"


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Iterator[Engine]:
    """An index that is searched without a graph, and from now on should have one."""
    built = threading.Event()
    builds = Builds(built.set)
    reconciler = Reconciler(database, Fence.raised(database, "test", "me"), LocalWorkforce(), builds)
    engine = Engine(database, tmp_path, reconciler, Embedders(), tmp_path / "scratch", built)
    engine.scratch.mkdir()
    for n in range(_DOCUMENTS):
        engine.write(f"{n:02}.md", f"# Number {n}\n\nThe keeper of tower {n} is called keeper{n}.\n")
    engine.reconcile()
    engine.work_due()
    engine.reconcile()
    reconciler.limits = Limits(index_from_chunks=1)
    yield engine
    builds.close()


@pytest.fixture
def service(filled: Engine, database_url: str) -> Iterator[httpx2.Client]:
    service = serve(database_url, embedder=HashEmbedder(64))
    with httpx2.Client(base_url=service.url, timeout=15) as client:
        yield client
    service.stop()


@contextmanager
def held_up(engine: Engine) -> Iterator[None]:
    """A build that begins now waits at its last step, for a transaction that could still see what was before."""
    with engine.database.engine.connect() as old:
        old.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        old.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        old.execute(sa.select(sa.func.count()).select_from(engine.serving.tables.vector))
        yield


def building(engine: Engine) -> tuple[int, int] | None:
    """The server process that is at it, and what it makes."""
    with engine.database.begin() as connection:
        row = connection.execute(sa.text(_WAITS)).one_or_none()
    return None if row is None else (row[0], row[1])


def state(engine: Engine) -> IndexState:
    return engine.database.run(vector_index_state, engine.serving.tables).state


def check_searches_are_exact(engine: Engine, service: httpx2.Client, documents: int) -> None:
    """Every chunk is found, in the order that its own vector gives it."""
    vector = engine.serving.tables.vector
    with engine.database.begin() as connection:
        rows = connection.execute(sa.select(vector.c.chunk_id, vector.c.embedding)).all()
    assert len(rows) == documents
    asked = np.random.default_rng(3).normal(size=64).astype(np.float32)
    stored = {row[0]: np.asarray(row[1], np.float32) for row in rows}
    near = {chunk: float(v @ asked / np.linalg.norm(v) / np.linalg.norm(asked)) for chunk, v in stored.items()}
    body: dict[str, Any] = {"vector": asked.tolist(), "mode": "vector", "top_k": documents}
    reply = service.post("/v1/indexes/default/notes/search", json=body)
    assert reply.status_code == 200, reply.text
    scores = [each["scores"]["vector"] for each in reply.json()["results"]]
    assert scores == pytest.approx(sorted(near.values(), reverse=True), abs=1e-3)


def test_a_build_that_died_is_done_again(filled: Engine, service: httpx2.Client) -> None:
    with held_up(filled):
        filled.reconcile()
        pid, made = eventually("the build is under way", lambda: building(filled))
        check_searches_are_exact(filled, service, _DOCUMENTS)
        with filled.database.begin() as connection:
            connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))
        filled.await_builds()
        assert state(filled) is IndexState.ABANDONED
        check_searches_are_exact(filled, service, _DOCUMENTS)
    filled.write("late.md", "# Late\n\nThe keeper of tower 99 is called keeper99.\n")
    filled.ask("sync", "late")
    filled.built.clear()
    filled.reconcile()
    filled.work_due()
    check_searches_are_exact(filled, service, _DOCUMENTS + 1)
    filled.await_builds()
    observed = filled.reconcile()
    assert [revision.vector_index.state for revision in observed.revisions] == [VectorIndexState.VALID]
    check_searches_are_exact(filled, service, _DOCUMENTS + 1)
    with filled.database.begin() as connection:
        there = connection.execute(sa.text("SELECT count(*) FROM pg_class WHERE oid = :oid"), {"oid": made})
        assert there.scalar_one() == 0, "nothing is left of the first"
