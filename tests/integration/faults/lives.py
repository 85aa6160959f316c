"""The life of an object, a stage at a time, in a process that kills itself where it is told to.

``python -m tests.integration.faults.lives`` waits for stages as lines of JSON and lives each in a process of its own,
forked from itself, so that what has to be imported is imported once. A stage reconciles and works until nothing is left
to do. What a reconcile does is enumerated by name: before each effect, just before each of its commits, after each
statement that commits by itself, and after it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

import sqlalchemy as sa

from ragindex_core.document import ParsedDocument
from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Source
from ragindex_core.reconcile import actions as act
from ragindex_core.reconcile.observed import Crew, Timetable, Workers
from ragindex_core.reconcile.situation import Limits
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import indexes, queue, requests, runs
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.perform import Performer
from ragindex_operator.reconcile import Reconciler
from ragindex_providers.sources import DirectoryChoice, open_source
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.parse import parse_file
from ragindex_worker.parsing.sandbox import Sandbox
from ragindex_worker.pipeline import Pipeline
from ragindex_worker.sync import SyncRunner

log = logging.getLogger(__name__)

#: No reader goes on using what it resolved before.
_ALL_READERS_GONE = timedelta(0)
_MOST_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Stage:
    """``outside`` is what lives beside the database: workers, and the note that the object was let go."""

    url: str
    outside: str
    folder: str
    document: dict[str, Any]
    generation: int
    uid: str
    deleting: bool = False
    asked: tuple[tuple[str, str], ...] = ()
    kill_at: str | None = None

    @property
    def wanted(self) -> RagIndex:
        index = parse(self.document, "test")
        gone = datetime.now(UTC) if self.deleting else None
        given = {"uid": self.uid, "generation": self.generation, "deletion_timestamp": gone}
        return index.model_copy(update={"metadata": index.metadata.model_copy(update=given)})


class Points:
    """Where this process has come to; it dies at the one it is told to."""

    def __init__(self, note: Path, kill_at: str | None) -> None:
        self._note = note
        self._kill_at = kill_at
        self._times: Counter[str] = Counter()
        self._effect: str | None = None
        self._commits = 0

    def reached(self, moment: str) -> None:
        assert self._effect is not None
        point = f"{self._effect}, {moment}"
        with self._note.open("a") as note:
            note.write(f"{point}\n")
        if point == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def effect(self, name: str) -> Iterator[None]:
        self._times[name] += 1
        self._commits = 0
        self._effect = name if self._times[name] == 1 else f"{name} #{self._times[name]}"
        self.reached("before")
        yield
        self.reached("after")
        self._effect = None

    def listen(self, engine: sa.Engine) -> None:
        sa.event.listen(engine, "commit", self._committing)
        sa.event.listen(engine, "after_cursor_execute", self._executed)

    def _committing(self, _connection: sa.Connection) -> None:
        if self._effect is not None:
            self._commits += 1
            self.reached(f"before commit {self._commits}")

    def _executed(self, *arguments: Any) -> None:
        done, concurrently, _ = arguments[2].strip().partition(" INDEX CONCURRENTLY")
        if self._effect is not None and concurrently:
            self.reached(f"after {done.lower()} index")


class Dying(Performer):
    points: ClassVar[Points]
    performed: ClassVar[int] = 0

    def perform(self, action: act.Action, answers: Sequence[act.AnswerRequest] = ()) -> bool:
        Dying.performed += 1
        with self.points.effect(type(action).__name__):
            return super().perform(action, answers)


class DyingReconciler(Reconciler):
    """The status is told after all actions."""

    def _tell(self, *arguments: Any) -> None:
        with Dying.points.effect("WriteStatus"):
            super()._tell(*arguments)


class AtOnce(Builds):
    def start(self, _name: str, build: Callable[[], None]) -> None:
        build()


class Jobs(LocalWorkforce):
    """Workers outlive the operator that started them: they are kept in a file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def look(self, _wanted: RagIndex) -> Crew:
        if not self._file.exists():
            return Crew()
        numbers, parallelism = json.loads(self._file.read_text())
        return Crew(Workers(frozenset(numbers), parallelism))

    def list_sources(self, _wanted: RagIndex, run: str) -> None:
        self._file.with_suffix(".run").write_text(run)

    def keep(self, _wanted: RagIndex, timetable: Timetable) -> None:
        self._file.with_suffix(".timetable").write_text(repr(timetable))

    def drop_timetable(self, _wanted: RagIndex) -> None:
        self._file.with_suffix(".timetable").unlink(missing_ok=True)

    def ensure(self, _wanted: RagIndex, workers: Workers) -> None:
        self._file.write_text(json.dumps([sorted(workers.revisions), workers.parallelism]))

    def stop(self, _wanted: RagIndex) -> None:
        self._file.unlink(missing_ok=True)


class InThisProcess(Sandbox):
    """What is parsed here is harmless, and a process more a life costs a second."""

    def parse(self, path: Path, name: str) -> ParsedDocument:
        return parse_file(path, name, ParseLimits())


@dataclass(slots=True)
class Life:
    stage: Stage
    database: Database
    embedder: HashEmbedder = field(default_factory=lambda: HashEmbedder(32, model="words"))

    def live(self) -> None:
        outside = Path(self.stage.outside)
        reconciler = DyingReconciler(
            self.database,
            Fence.raised(self.database, "test", "me"),
            Jobs(outside / "workers"),
            AtOnce(lambda: None),
            limits=Limits(index_from_chunks=3, reader_cache=_ALL_READERS_GONE),
            performer=Dying,
        )
        wanted = self.stage.wanted
        for name, value in self.stage.asked:
            row = self.database.run(indexes.by_uid, self.stage.uid)
            assert row is not None
            self.database.run(requests.add, row.id, name, value, "test")
        for _ in range(_MOST_ROUNDS):
            before = Dying.performed
            reconciler.reconcile(wanted, self.stage.folder, (outside / "released").touch)
            worked = self._work()
            if (Dying.performed == before and not worked) or (outside / "released").exists():
                return
        raise AssertionError("the stage does not come to an end")

    def _work(self) -> bool:
        """What is due, and nothing that is due later."""
        run = self.database.run(runs.claim, queue.new_owner())
        if run is not None:
            index = self.database.run(indexes.get, run.index_id)
            SyncRunner(self.database, self.open_source, lambda: False).perform(run, index)
        scratch = Path(self.stage.outside)
        worker = Worker(self.database, self, self.open_source, WorkerSettings(scratch=scratch))
        pipeline = Pipeline(self.database, InThisProcess(), scratch, lambda: False)
        some = False
        while claims := self.database.run(queue.claim, queue.new_owner(), 8):
            some = True
            pipeline.process(claims, worker.target(claims[0].revision_id, claims[0].index_id))
        return some or run is not None

    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        return self.embedder

    def open_source(self, index: IndexRow, source: SourceSpec) -> Source:
        assert source.directory is not None
        return open_source(DirectoryChoice(Path(cast(str, index.base_path)) / source.directory.path))


def _live(stage: Stage) -> int:
    """In a process of its own."""
    try:
        database = Database(DatabaseSettings(url=stage.url, pool_size=2))
        Dying.points = Points(Path(stage.outside) / "points", stage.kill_at)
        Dying.points.listen(database.engine)
        Life(stage, database).live()
        database.close()
    except Exception:
        log.exception("a stage broke off")
        return 1
    return 0


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_live(Stage(**json.loads(line))))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def as_line(stage: Stage) -> str:
    return json.dumps(asdict(stage)) + "\n"


if __name__ == "__main__":
    main()
