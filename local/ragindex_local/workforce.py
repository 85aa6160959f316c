"""The worker beside this process: started, watched, started again, and told when there is something to do."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from ragindex_core.object.resource import RagIndex
from ragindex_core.reconcile.observed import Crew, Timetable, Workers

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 30.0
_A_GOOD_RUN = 60.0  # a worker that lasted this long is started again at once


class LocalWorkforce:
    """One worker process drains every queue there is, so each object has what it asks for."""

    def __init__(self) -> None:
        self._workers: dict[str, Workers] = {}

    def look(self, wanted: RagIndex) -> Crew:
        return Crew(self._workers.get(wanted.metadata.uid))

    def ensure(self, wanted: RagIndex, workers: Workers) -> None:
        self._workers[wanted.metadata.uid] = workers

    def list_sources(self, wanted: RagIndex, run: str) -> None:
        """The worker takes every run by itself."""

    def keep(self, wanted: RagIndex, timetable: Timetable) -> None:
        """Nobody asks: the reconciler itself keeps the schedules."""

    def drop_timetable(self, wanted: RagIndex) -> None:
        """There is none."""

    def stop(self, wanted: RagIndex) -> None:
        self._workers.pop(wanted.metadata.uid, None)


class WorkerProcess:
    """The worker as a child that ends with its parent: its standard input closes when we are gone."""

    def __init__(self, environment: Mapping[str, str], errors: Path) -> None:
        """What the child says besides its log, as when it cannot start at all, is added to ``errors``."""
        self._environment = {**os.environ, **environment}
        self._errors = errors
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="worker-process", daemon=True)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 20.0) -> None:
        self._stopping.set()
        child = self._child
        if child is not None and child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        self._thread.join(timeout_seconds)
        if child is not None and child.poll() is None:
            child.kill()

    def _supervise(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            began = time.monotonic()
            # A session of its own: Ctrl-C in the terminal reaches us alone, and we tell it in good order.
            with self._errors.open("ab") as errors:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "ragindex_local.worker_process"],
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
            code = self._child.wait()
            if self._stopping.is_set():
                return
            pause = 1.0 if time.monotonic() - began > _A_GOOD_RUN else min(pause * 2, _LONGEST_PAUSE)
            log.error("worker ended; starting it again", extra={"exit_code": code, "pause_seconds": pause})
            self._stopping.wait(pause)
