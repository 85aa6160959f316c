"""``ragindex worker``: the process that ingests, in a pod or beside ``ragindex up``. Its settings are read here."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from ragindex_api import logging as json_logging
from ragindex_api.settings import LogLevel, ProviderEnvironment
from ragindex_core.errors import Misconfigured, NotFound, Unavailable
from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Source
from ragindex_db import indexes
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.indexes import IndexRow
from ragindex_db.signals import LISTENING, Listener
from ragindex_providers.sources import DirectoryChoice, open_source
from ragindex_worker.embedders import Embedders
from ragindex_worker.listing import list_once
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.opening import open_any_source
from ragindex_worker.steps import Steps

log = logging.getLogger(__name__)

#: Signals of the database that mean work for us.
_WORK = ("worker", "queue:", "promoted:", LISTENING)
#: Ingestion gives way to queries when both want the same processors.
_NICENESS = 10
#: Seconds between looks at a database that does not answer when we start: a minute in all.
_PAUSES_AT_START = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
#: Where Linux shares processors among sessions first, niceness counts only within one; the session has its own.
_SESSION_NICENESS = Path("/proc/self/autogroup")


class WorkerEnvironment(ProviderEnvironment):
    """``ragindex worker``, as it is told by ``RAGINDEX_…`` variables."""

    database_url: SecretStr
    installation: str = "default"
    scratch_dir: Path | None = None  # for documents while they are parsed
    log_level: LogLevel = "INFO"
    log_file: Path | None = None
    worker_threads: Annotated[int, Field(ge=1, le=64)] = 2


class Part(StrEnum):
    """What a worker does; each Job of a cluster has one part of it."""

    ALL = "all"
    LISTING = "listing"  # one run of the index, and end
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """``index`` limits the work to one (``namespace/name``); ``drain`` ends when nothing is left to do."""

    index: str | None = None
    part: Part = Part.ALL
    drain: bool = False
    until_stdin_closes: bool = False

    @property
    def in_a_job(self) -> bool:
        """Whether it is to come to an end by itself."""
        return self.drain or self.part is Part.LISTING


def run(options: WorkerOptions) -> bool:
    """False when it was stopped before all was done. Raises Misconfigured for what trying again cannot mend, and
    Unavailable when the database cannot be reached."""
    environment = WorkerEnvironment()  # type: ignore[call-arg]  # filled from the environment
    _log(environment)
    _give_way()
    database = Database(
        DatabaseSettings(
            url=environment.database_url.get_secret_value(),
            pool_size=2 * environment.worker_threads + 4,
            application_name="ragindex-worker",
        )
    )
    stop = _Stop(until_stdin_closes=options.until_stdin_closes)
    try:
        # Signals are handled between two steps of this thread, which must hold no lock then that a stop needs.
        with ThreadPoolExecutor(1, thread_name_prefix="worker") as thread:
            return thread.submit(_run, options, environment, database, stop).result()
    finally:
        database.close()


def _run(options: WorkerOptions, environment: WorkerEnvironment, database: Database, stop: _Stop) -> bool:
    index = None
    if options.index is not None:
        start = Steps()
        stop.calls(start.stop)
        index = _find(database, options, environment.installation, start)
        if start.stopping():
            return False
        if index is None:
            return True
    if options.part is Part.LISTING:
        assert index is not None
        steps = Steps()
        stop.calls(steps.stop)
        return list_once(database, partial(open_any_source, database, source_of), steps, index.id)
    with tempfile.TemporaryDirectory(prefix="ragindex-", dir=environment.scratch_dir) as scratch:
        return _work(options, environment, database, index, Path(scratch), stop)


def _work(
    options: WorkerOptions,
    environment: WorkerEnvironment,
    database: Database,
    index: IndexRow | None,
    scratch: Path,
    stop: _Stop,
) -> bool:
    embedders = Embedders(database, environment.providers(threads=os.cpu_count() or 1))
    settings = WorkerSettings(
        scratch=scratch,
        threads=environment.worker_threads,
        index_id=None if index is None else index.id,
        lists=options.part is Part.ALL,
        drain=options.drain,
    )
    worker = Worker(database, embedders, source_of, settings)
    # One that is to end also hears of what others finish: it may have been the last that it waited for.
    heard = (*_WORK, f"index:{index.id}") if index is not None and options.in_a_job else _WORK

    def on_signal(topic: str) -> None:
        if topic.startswith(heard):
            worker.wake()

    listener = Listener(environment.database_url.get_secret_value(), on_signal)
    stop.calls(worker.stop)
    listener.start()
    try:
        drained = worker.run()
    finally:
        listener.stop()
        embedders.close()
    if drained and worker.hopeless:
        raise Misconfigured("; ".join(sorted(set(worker.hopeless.values()))))
    return drained


class _Stop:
    """What SIGTERM, Ctrl-C and, where it is to be watched, the end of standard input do."""

    def __init__(self, *, until_stdin_closes: bool) -> None:
        self._asked = threading.Event()
        self._stop: Callable[[], None] = lambda: None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._now())
        if until_stdin_closes:
            threading.Thread(target=self._with_parent, name="parent-watch", daemon=True).start()

    def calls(self, stop: Callable[[], None]) -> None:
        """From now on; at once when it was asked for before."""
        self._stop = stop
        if self._asked.is_set():
            stop()

    def _now(self) -> None:
        self._asked.set()
        self._stop()

    def _with_parent(self) -> None:
        """Standard input ends when the process that started us does, however that comes about."""
        while sys.stdin.buffer.read(4096):
            pass
        self._now()


def _give_way() -> None:
    os.nice(_NICENESS)
    if os.getsid(0) == os.getpid():  # else the session is somebody's terminal
        with contextlib.suppress(OSError):  # no such thing on this system
            _SESSION_NICENESS.write_text(str(_NICENESS))


def _log(environment: WorkerEnvironment) -> None:
    json_logging.configure(environment.log_level, file=environment.log_file)


def _find(database: Database, options: WorkerOptions, installation: str, steps: Steps) -> IndexRow | None:
    """None when there is nothing to do for it in a Job. Waits a while for the database."""
    assert options.index is not None
    namespace, _, name = options.index.rpartition("/")
    pauses = iter(_PAUSES_AT_START)
    while not steps.stopping():
        try:
            index = database.run(indexes.find, installation, namespace or "default", name)
        except NotFound:
            if not options.in_a_job:
                raise
            log.info("there is no such index any more", extra={"index": options.index})
            return None
        except Unavailable as error:
            pause = next(pauses, None)
            if pause is None:
                raise
            log.warning("waiting for the database", extra={"why": str(error)})
            steps.wait(pause)
        else:
            if options.in_a_job and index.suspended:
                log.info("the index is suspended", extra={"index": options.index})
                return None
            return index
    return None


def source_of(index: IndexRow, source: SourceSpec) -> Source:
    """The source that a spec names. A directory's path is relative to the file that holds its object."""
    if source.directory is not None:
        base = Path(index.base_path or ".")
        return open_source(DirectoryChoice(base / source.directory.path, source.include, source.exclude))
    raise Misconfigured(f"source {source.name}: s3 sources cannot be read by this worker")


if __name__ == "__main__":
    run(WorkerOptions(until_stdin_closes=True))
