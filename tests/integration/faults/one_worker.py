"""A worker as a process of its own, with an embedder that costs nothing: made to be killed, or to outlive others."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Source
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_db.signals import Listener
from ragindex_providers.sources import DirectoryChoice, open_source
from ragindex_worker.loop import Worker, WorkerSettings


class Embedders:
    def __init__(self) -> None:
        self._embedder = HashEmbedder(32, model="words")

    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        return self._embedder


def source_of(index: IndexRow, source: SourceSpec) -> Source:
    assert source.directory is not None
    return open_source(DirectoryChoice(Path(index.base_path or ".") / source.directory.path))


def main(url: str, scratch: str, how: str = "drain") -> None:
    """``drain``: until nothing is left to do. ``stay``: until standard input closes."""
    database = Database(DatabaseSettings(url=url, pool_size=8))
    worker = Worker(database, Embedders(), source_of, WorkerSettings(scratch=Path(scratch), drain=how == "drain"))
    listener = Listener(url, lambda _topic: worker.wake())
    if how == "stay":
        listener.start()
        threading.Thread(target=_stop_with_input, args=(worker,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    worker.run()
    if how == "stay":
        listener.stop()


def _stop_with_input(worker: Worker) -> None:
    sys.stdin.read()
    worker.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
