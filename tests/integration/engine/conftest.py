"""The engine without a model and without a cluster: real database, real reconciler, real worker."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Source
from ragindex_core.reconcile.observed import Observed
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import documents, indexes, queue, requests, revisions, runs
from ragindex_db.documents import DocumentRow
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler
from ragindex_providers.sources import DirectoryChoice, open_source
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.parsing.sandbox import Sandbox
from ragindex_worker.pipeline import Pipeline
from ragindex_worker.sync import SyncRunner
from ragindex_worker.uploads import UploadsSource


class Embedders:
    """Every model is a HashEmbedder of the dimensions asked for; ``opened`` keeps them, to count what was embedded."""

    def __init__(self) -> None:
        self.opened: dict[str, HashEmbedder] = {}

    def of(self, revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        model = str(revision.projection["embedding.model"])
        if model not in self.opened:
            self.opened[model] = HashEmbedder(int(revision.projection["embedding.dimensions"]), model=model)
        return self.opened[model]

    @property
    def texts(self) -> int:
        return sum(len(call) for embedder in self.opened.values() for call in embedder.calls)


OBJECT: dict[str, Any] = {
    "apiVersion": "ragindex.io/v1alpha1",
    "kind": "RagIndex",
    "metadata": {"name": "notes"},
    "spec": {
        "embedding": {"provider": "OpenAI", "model": "words", "dimensions": 64},
        "sources": [
            {"name": "files", "directory": {"path": "files"}},
            {"name": "uploads", "uploads": {}},
        ],
    },
}


@dataclass
class Engine:
    database: Database
    folder: Path
    reconciler: Reconciler
    embedders: Embedders
    scratch: Path
    built: threading.Event
    document: dict[str, Any] = field(default_factory=lambda: deepcopy(OBJECT))
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    generation: int = 1
    released: bool = False

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def edit(self, **spec: Any) -> None:
        """Top-level fields of the spec, given anew."""
        self.document["spec"].update(spec)
        self.generation += 1

    @property
    def wanted(self) -> RagIndex:
        index = parse(self.document, "test")
        metadata = index.metadata.model_copy(update={"uid": self.uid, "generation": self.generation})
        return index.model_copy(update={"metadata": metadata})

    def reconcile(self) -> Observed:
        def release() -> None:
            self.released = True

        return self.reconciler.reconcile(self.wanted, str(self.folder), release).observed

    def work(self) -> None:
        Worker(self.database, self.embedders, self.open_source, WorkerSettings(scratch=self.scratch, drain=True)).run()

    def sync_only(self) -> None:
        """Carry out the run that waits."""
        run = self.database.run(runs.claim, queue.new_owner())
        assert run is not None
        SyncRunner(self.database, self.open_source_or_uploads, lambda: False).perform(run, self.row)

    def work_due(self) -> None:
        """What is due now and nothing that is due later."""
        run = self.database.run(runs.claim, queue.new_owner())
        if run is not None:
            SyncRunner(self.database, self.open_source_or_uploads, lambda: False).perform(run, self.row)
            self.reconcile()
        worker = Worker(self.database, self.embedders, self.open_source, WorkerSettings(scratch=self.scratch))
        with Sandbox() as sandbox:
            pipeline = Pipeline(self.database, sandbox, self.scratch, lambda: False)
            while claims := self.database.run(queue.claim, queue.new_owner(), 8):
                pipeline.process(claims, worker.target(claims[0].revision_id, claims[0].index_id))

    def open_source_or_uploads(self, index: IndexRow, source: SourceSpec) -> Source:
        if source.uploads is not None:
            return UploadsSource(self.database, index.id, source.name)
        return self.open_source(index, source)

    def await_builds(self) -> None:
        assert self.built.wait(60)

    def settle(self) -> Observed:
        """Reconcile and work until the index is up to date, or holds for somebody."""
        for _ in range(6):
            self.reconcile()
            self.work()
        return self.reconcile()

    def open_source(self, index: IndexRow, source: SourceSpec) -> Source:
        assert source.directory is not None
        assert index.base_path is not None
        return open_source(
            DirectoryChoice(Path(index.base_path) / source.directory.path, source.include, source.exclude)
        )

    def ask(self, name: str, value: str) -> None:
        self.database.run(requests.add, self.row.id, name, value, "test")

    def sync(self) -> Observed:
        self.ask("sync", uuid.uuid4().hex)
        return self.settle()

    @property
    def row(self) -> IndexRow:
        found = self.database.run(indexes.by_uid, self.uid)
        assert found is not None
        return found

    @property
    def kept(self) -> list[RevisionRow]:
        return self.database.run(revisions.list_kept, self.row.id)

    @property
    def serving(self) -> RevisionRow:
        assert self.row.serving_revision_id is not None
        return self.database.run(revisions.get, self.row.serving_revision_id)

    def documents(self) -> dict[str, DocumentRow]:
        rows = self.database.run(documents.page, self.row.id, self.row.serving_revision_id, limit=10_000)
        return {row.key: row for row in rows}

    def condition(self, kind: str) -> tuple[str, str]:
        found = {c["type"]: c for c in self.row.status["conditions"]}[kind]
        return found["status"], found["reason"]


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "files").mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    built = threading.Event()
    builds = Builds(built.set)
    yield Engine(
        database=database,
        folder=tmp_path,
        reconciler=Reconciler(database, Fence.raised(database, "test", "me"), LocalWorkforce(), builds),
        embedders=Embedders(),
        scratch=scratch,
        built=built,
    )
    builds.close()
