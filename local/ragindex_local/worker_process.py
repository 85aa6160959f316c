"""``ragindex worker``: the process that ingests, in a pod or beside ``ragindex up``. Its settings are read here."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from ragindex_api import logging as json_logging
from ragindex_api.settings import LogLevel, ProviderEnvironment
from ragindex_core.errors import Misconfigured
from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Source
from ragindex_db import indexes
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.indexes import IndexRow
from ragindex_db.signals import LISTENING, Listener
from ragindex_providers.sources import DirectoryChoice, open_source
from ragindex_worker.embedders import Embedders
from ragindex_worker.loop import Worker, WorkerSettings

log = logging.getLogger(__name__)

#: Signals of the database that mean work for us.
_WORK = ("worker", "queue:", "promoted:", LISTENING)
#: Ingestion gives way to queries when both want the same processors.
_NICENESS = 10
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


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """``index`` limits the work to one (``namespace/name``); ``drain`` ends when nothing is left to do."""

    index: str | None = None
    drain: bool = False
    until_stdin_closes: bool = False


def run(options: WorkerOptions) -> None:
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
    embedders = Embedders(database, environment.providers(threads=os.cpu_count() or 1))
    with tempfile.TemporaryDirectory(prefix="ragindex-", dir=environment.scratch_dir) as scratch:
        worker = Worker(
            database,
            embedders,
            source_of,
            WorkerSettings(
                scratch=Path(scratch),
                threads=environment.worker_threads,
                index_id=_index_id(database, environment.installation, options.index),
                drain=options.drain,
            ),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        if options.until_stdin_closes:
            threading.Thread(target=_stop_with_parent, args=(worker,), name="parent-watch", daemon=True).start()

        def on_signal(topic: str) -> None:
            if topic.startswith(_WORK):
                worker.wake()

        listener = Listener(environment.database_url.get_secret_value(), on_signal)
        listener.start()
        try:
            worker.run()
        finally:
            listener.stop()
            embedders.close()
            database.close()


def _give_way() -> None:
    os.nice(_NICENESS)
    if os.getsid(0) == os.getpid():  # else the session is somebody's terminal
        with contextlib.suppress(OSError):  # no such thing on this system
            _SESSION_NICENESS.write_text(str(_NICENESS))


def _log(environment: WorkerEnvironment) -> None:
    json_logging.configure(environment.log_level, file=environment.log_file)


def _stop_with_parent(worker: Worker) -> None:
    """Standard input ends when the process that started us does, however that comes about."""
    while sys.stdin.buffer.read(4096):
        pass
    worker.stop()


def _index_id(database: Database, installation: str, index: str | None) -> int | None:
    if index is None:
        return None
    namespace, _, name = index.rpartition("/")
    with database.begin() as connection:
        return indexes.find(connection, installation, namespace or "default", name).id


def source_of(index: IndexRow, source: SourceSpec) -> Source:
    """The source that a spec names. A directory's path is relative to the file that holds its object."""
    if source.directory is not None:
        base = Path(index.base_path or ".")
        return open_source(DirectoryChoice(base / source.directory.path, source.include, source.exclude))
    kind = "s3" if source.s3 is not None else "configMap"
    raise Misconfigured(f"source {source.name}: {kind} sources cannot be read by this worker")


if __name__ == "__main__":
    run(WorkerOptions(until_stdin_closes=True))
