"""The owner's side of a running server: start its guardian (launch.py), wait until it is ready, let it go."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from ragindex_core.errors import Unavailable
from ragindex_local.postgres import failures, process
from ragindex_local.postgres.folder import Folder
from ragindex_local.postgres.programs import ENVIRONMENT

LOOK_EVERY_SECONDS = 0.01
TELL_EVERY_SECONDS = 2.0
STOP_SECONDS = 90.0  # longer than the guardian's own patience


class Guardian:
    """A server that is being started or runs; it has a session of its own, so that Ctrl-C in the terminal reaches the
    application first, which drains while its database still answers."""

    def __init__(self, command: Sequence[str], folder: Folder) -> None:
        self._folder = folder
        log = folder.open_log()
        self._log_start = os.fstat(log).st_size
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own launch.py, arguments as a list
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
            )
        finally:
            os.close(log)
        assert self._process.stdout is not None
        self._ended = self._process.stdout.fileno()  # readable once the guardian has ended
        said = self._process.stdout.readline().strip()
        self.server_pid: int | None = int(said) if said else None

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for_end(self) -> None:
        """Returns when the guardian is gone, and with it the server."""
        self._process.wait()

    def let_go(self) -> None:
        """Have the server stopped; ``stop`` also waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait_until_ready(
        self, timeout_seconds: float, progress: Callable[[str], None], abandoned: threading.Event
    ) -> None:
        """Wait until the server takes connections. Raises what its log tells when it ends instead."""
        begun = time.monotonic()
        told = begun
        while True:
            if select.select([self._ended], [], [], LOOK_EVERY_SECONDS)[0]:
                self._process.wait()
                raise failures.explain(self.words(), self._folder.path, self._folder.log)
            noted = process.PidFile.read(self._folder.pgdata)
            if noted is not None and noted.pid == self.server_pid and noted.ready:
                return
            if abandoned.is_set():
                raise Unavailable("PostgreSQL was told to stop before it was ready")
            now = time.monotonic()
            if now - begun > timeout_seconds:
                raise Unavailable(
                    f"PostgreSQL was not ready after {timeout_seconds:.0f} s. It may still be recovering from a crash: "
                    f"run again to let it go on. Its log: {self._folder.log}"
                )
            if now - told > TELL_EVERY_SECONDS:
                told = now
                progress(f"PostgreSQL is recovering what an unclean end left ({now - begun:.0f} s)")

    def words(self) -> str:
        """What this server wrote to its log."""
        with self._folder.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read(65536).decode("utf-8", errors="replace")

    def stop(self) -> None:
        """Returns when the server and its guardian are gone."""
        assert self._process.stdout is not None
        self.let_go()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        if self.server_pid is not None and process.is_server_of(self.server_pid, self._folder.pgdata):
            process.end_leftover(self._folder.pgdata)  # the guardian was killed before its server
