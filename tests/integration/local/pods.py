"""``ragindex worker`` as the pods of Jobs run it: processes of their own, beside an index that is really there."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from tests.integration.engine.conftest import Engine
from tests.integration.local.running import RAGINDEX, environment, eventually

from ragindex_db import keyword, queue, runs, schema
from ragindex_db.engine import Connection, Database
from ragindex_db.runs import SyncRun
from ragindex_providers.testing.openai_server import FakeOpenAIServer

EMBED = ("--embed", "--drain")
LIST = ("--list",)


@dataclass
class Pod:
    process: subprocess.Popen[str]
    log: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.log.append(json.loads(line))
            else:
                self.said.append(line)

    def await_log(self, message: str) -> None:
        eventually(f"{message!r}; said {self.said}", lambda: any(message in str(line) for line in self.log))

    def end(self, seconds: float = 90.0) -> int:
        return self.process.wait(seconds)


@dataclass
class Pods:
    """Starts them; what they need to know of the installation is in their environment."""

    engine: Engine
    url: str
    provider: FakeOpenAIServer
    threads: list[threading.Thread] = field(default_factory=list)
    started: list[Pod] = field(default_factory=list)

    def start(self, *arguments: str, index: str = "default/notes", **changed: str | None) -> Pod:
        variables = {
            **environment(),
            "RAGINDEX_DATABASE_URL": self.url,
            "RAGINDEX_INSTALLATION": "test",
            "RAGINDEX_ENDPOINTS": json.dumps({"main": {"base_url": self.provider.base_url}}),
            "RAGINDEX_SCRATCH_DIR": str(self.engine.scratch),
            "RAGINDEX_WORKER_THREADS": "1",
            **changed,
        }
        process = subprocess.Popen(
            [*RAGINDEX, "worker", *arguments, "--index", index],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={name: value for name, value in variables.items() if value is not None},
        )
        pod = Pod(process)
        self.started.append(pod)
        self.threads.append(threading.Thread(target=pod.read, daemon=True))
        self.threads[-1].start()
        return pod

    def run(self, *arguments: str, **changed: Any) -> int:
        pod = self.start(*arguments, **changed)
        code = pod.end()
        self.threads[-1].join(10)
        return code

    @property
    def last(self) -> Pod:
        return self.started[-1]

    def close(self) -> None:
        for pod in self.started:
            if pod.process.poll() is None:
                pod.process.kill()
            pod.process.wait(30)
        for thread in self.threads:
            thread.join(10)
        for pod in self.started:
            assert pod.process.stdout is not None
            pod.process.stdout.close()


def states(database: Database) -> dict[str, int]:
    """How many documents are in each state."""
    rd = schema.revision_documents
    with database.begin() as connection:
        counted = connection.execute(sa.select(rd.c.state, sa.func.count()).group_by(rd.c.state))
        return {row[0]: row[1] for row in counted}


def leases(database: Database) -> int:
    rd = schema.revision_documents
    with database.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).where(rd.c.lease_token.is_not(None))).scalar_one()


def all_runs(engine: Engine) -> list[SyncRun]:
    """The latest first."""
    return engine.database.run(runs.latest, engine.row.id)


def unsealed(engine: Engine) -> tuple[int, int]:
    """Chunks that the keyword index and the vector index have still to take in."""
    tables = engine.serving.tables
    with engine.database.begin() as connection:
        head = connection.execute(sa.select(sa.func.count()).select_from(tables.keyword.head)).scalar_one()
        vectors = connection.execute(sa.select(sa.func.count()).where(~tables.vector.c.sealed)).scalar_one()
    return head, vectors


@contextmanager
def another_sealer(engine: Engine) -> Iterator[Connection]:
    """One that is at work on what queries read, and has not got far."""
    with engine.database.begin() as connection:
        assert not keyword.seal(connection, engine.serving.tables.keyword, 1_000_000).busy
        yield connection


def claim_run(engine: Engine) -> SyncRun:
    run = engine.database.run(runs.claim, queue.new_owner())
    assert run is not None
    return run
