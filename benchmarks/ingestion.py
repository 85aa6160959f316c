"""An index over a folder of generated files, brought forward as the operator and a worker do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import prose
from benchmarks.machine import ROOT
from benchmarks.stage import INSTALLATION, NAMESPACE, Stage, say
from ragindex_core.object.resource import parse
from ragindex_db import indexes, revisions
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import Counts
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

_SECTIONS = 8  # of a file: some two pages


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker took; ``early_mib`` is its peak of memory when a quarter was done."""

    seconds: float
    worker_seconds: float
    parser_seconds: float
    peak_mib: float
    early_mib: float
    parser_peak_mib: float


class FolderIndex:
    """``reconcile`` is what the operator does at every look."""

    def __init__(self, stage: Stage, folder: Path, texts: int, embedding: dict[str, Any]) -> None:
        self.folder = folder
        self.texts = texts  # about so many chunks
        self._stage = stage
        self._uid = str(uuid.uuid4())
        self._builds = Builds(lambda: None)
        fence = Fence.raised(stage.database, INSTALLATION, "benchmarks")
        self._reconciler = Reconciler(stage.database, fence, LocalWorkforce(), self._builds)
        written = {
            "apiVersion": "ragindex.io/v1alpha1",
            "kind": "RagIndex",
            "metadata": {"name": f"folder-{self._uid[:8]}"},
            "spec": {"embedding": embedding, "sources": [{"name": "files", "directory": {"path": "files"}}]},
        }
        wanted = parse(written, NAMESPACE)
        self._wanted = wanted.model_copy(update={"metadata": wanted.metadata.model_copy(update={"uid": self._uid})})

    @property
    def path(self) -> str:
        return f"/v1/indexes/{self._wanted.path}"

    @property
    def row(self) -> IndexRow:
        found = self._stage.database.run(indexes.by_uid, self._uid)
        assert found is not None
        return found

    @property
    def counts(self) -> Counts:
        revision = self.row.serving_revision_id
        assert revision is not None
        return self._stage.database.run(revisions.counts, [revision])[revision]

    def reconcile(self) -> None:
        self._reconciler.reconcile(self._wanted, str(self.folder), lambda: None)

    def close(self) -> None:
        self._builds.close()
        with self._stage.database.begin() as connection:
            for revision in revisions.list_kept(connection, self.row.id):
                revisions.drop_tables(connection, revision.tables)
            indexes.remove(connection, self.row.id)


@contextmanager
def folder_index(
    stage: Stage, files: int, *, sections: int = _SECTIONS, embedding: dict[str, Any] | None = None
) -> Iterator[FolderIndex]:
    """Over so many Markdown files of so many paragraphs; nothing is read yet."""
    folder = stage.folder / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    size = prose.write_folder(folder / "files", files, sections)
    say(f"{files:,} files of {size / 2**20:.0f} MiB together")
    chosen = embedding or {"provider": "OpenAI", "model": "free", "dimensions": 384}
    index = FolderIndex(stage, folder, files * sections, chosen)
    try:
        index.reconcile()
        yield index
    finally:
        index.close()
        shutil.rmtree(folder, ignore_errors=True)


def drained(stage: Stage, index: FolderIndex) -> Told:
    """The folder listed, then all of its files worked off, by a worker whose model costs nothing."""
    listing = _drain(stage, index)
    index.reconcile()
    work = _drain(stage, index)
    return Told(
        seconds=listing.seconds + work.seconds,
        worker_seconds=listing.worker_seconds + work.worker_seconds,
        parser_seconds=listing.parser_seconds + work.parser_seconds,
        peak_mib=work.peak_mib,
        early_mib=work.early_mib,
        parser_peak_mib=work.parser_peak_mib,
    )


def _drain(stage: Stage, index: FolderIndex) -> Told:
    scratch = index.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.free_worker", stage.url, str(index.row.id), str(scratch)]
    done = subprocess.run([*command, str(index.texts)], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return Told(**json.loads(done.stdout.splitlines()[-1]))
