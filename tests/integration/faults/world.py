"""What ``ragindex up`` is made of, with a server that tests may kill and an embedder that costs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from tests.integration.api.library import Service, serve

from ragindex_core.object.resource import RagIndex
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import indexes, revisions, schema
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.migrate import bootstrap, migrate
from ragindex_db.revisions import RevisionRow
from ragindex_db.signals import Listener
from ragindex_local.controller import Controller
from ragindex_local.postgres import EmbeddedPostgres
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Outcome, Reconciler

_ROOT = Path(__file__).parents[3]
OBJECT: dict[str, Any] = {
    "apiVersion": "ragindex.io/v1alpha1",
    "kind": "RagIndex",
    "metadata": {"name": "notes"},
    "spec": {
        "embedding": {"provider": "OpenAI", "model": "words", "dimensions": 32},
        "sources": [{"name": "files", "directory": {"path": "files"}}, {"name": "uploads", "uploads": {}}],
    },
}


def eventually(what: str, check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What ``check`` gives once that is true; other processes are looked at, which offer no event to wait for."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := check()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        pause.wait(0.05)
    return found


@dataclass
class World:
    """Everything of one installation. ``outcomes`` is what the reconciler saw last of the index."""

    folder: Path
    server: EmbeddedPostgres
    url: str
    database: Database
    worker: subprocess.Popen[str]
    service: Service
    client: httpx2.Client
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def pids(self) -> tuple[int, int]:
        """Of the service, which is in this process, and of the worker, as long as it lives."""
        assert self.worker.poll() is None, "the worker has not ended"
        assert self.service.thread.is_alive(), "the service has not ended"
        return os.getpid(), self.worker.pid

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / "objects" / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def kill_server(self) -> None:
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGKILL)
        assert self.server.await_end()

    def search(self, query: str, **more: Any) -> httpx2.Response:
        return self.client.post("/v1/indexes/default/notes/search", json={"query": query, **more})

    def upload(self, name: str, text: str) -> httpx2.Response:
        return self.client.post("/v1/indexes/default/notes/documents", params={"filename": name}, content=text.encode())

    def conditions(self) -> dict[str, dict[str, Any]]:
        found = self.client.get("/v1/indexes/default/notes")
        told = found.json().get("status", {}).get("conditions", []) if found.status_code == 200 else []
        return {condition["type"]: condition for condition in told}

    def states(self) -> dict[str, int]:
        """How many documents are in each state."""
        rd = schema.revision_documents
        with self.database.begin() as connection:
            counted = connection.execute(sa.select(rd.c.state, sa.func.count()).group_by(rd.c.state))
            return {row[0]: row[1] for row in counted}

    def keys(self) -> set[str]:
        """Of every document in the catalogue."""
        with self.database.begin() as connection:
            there = sa.select(schema.documents.c.key).where(schema.documents.c.deleted_at.is_(None))
            return set(connection.execute(there).scalars())

    def await_indexed(self, documents: int, seconds: float = 120.0) -> None:
        eventually(f"{documents} documents are indexed", lambda: self.states() == {"Indexed": documents}, seconds)

    @property
    def serving(self) -> RevisionRow:
        [row] = self.database.run(indexes.list_live, "test")
        assert row.serving_revision_id is not None
        return self.database.run(revisions.get, row.serving_revision_id)


@contextmanager
def world(folder: Path, pgdata: Path, settings: Mapping[str, str] | None = None) -> Iterator[World]:
    """From nothing to an index that is there, empty, and followed; at the end all is stopped."""
    objects = folder / "objects"
    (objects / "files").mkdir(parents=True)
    (folder / "scratch").mkdir()
    (objects / "notes.json").write_text(json.dumps(OBJECT))
    server = EmbeddedPostgres(pgdata, settings=settings)
    url = server.start()
    database = Database(DatabaseSettings(url=url, pool_size=6))
    bootstrap(database)
    migrate(database)
    outcomes: list[Outcome] = []
    builds = Builds(lambda: None)
    controller = _controller(database, builds, objects, outcomes)
    listener = Listener(url, lambda _topic: controller.wake())
    listener.start()
    controller.start()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.faults.one_worker", url, str(folder / "scratch"), "stay"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    service = serve(url, embedder=HashEmbedder(32, model="words"))
    client = httpx2.Client(base_url=service.url, timeout=30)
    made = World(folder, server, url, database, worker, service, client, outcomes)
    try:
        eventually("the index is there", lambda: made.conditions().get("Ready", {}).get("status") == "True")
        yield made
    finally:
        client.close()
        service.stop()
        worker.communicate()
        controller.stop()
        listener.stop()
        builds.close()
        database.close()
        server.stop()


def _controller(database: Database, builds: Builds, objects: Path, outcomes: list[Outcome]) -> Controller:
    def report(_index: RagIndex, outcome: Outcome) -> None:
        outcomes[:] = [outcome]

    return Controller(
        database,
        Reconciler(database, Fence.raised(database, "test", "me"), LocalWorkforce(), builds),
        [objects],
        report=report,
        complain=lambda fault: None,
        superseded=lambda: None,
    )
