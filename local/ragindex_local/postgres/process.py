"""The server as a process: what its pid file says, whether a process is really ours, and its end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02  # where the system offers no event to wait for


@dataclass(frozen=True, slots=True)
class PidFile:
    """postmaster.pid, as far as it is written."""

    pid: int
    status: str

    @classmethod
    def read(cls, pgdata: Path) -> PidFile | None:
        """None when there is none, or nothing usable in it."""
        try:
            lines = (pgdata / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
            return cls(abs(int(lines[0])), lines[7].strip() if len(lines) > 7 else "")
        except (FileNotFoundError, IndexError, ValueError):
            return None

    @property
    def ready(self) -> bool:
        return self.status == "ready"


def is_server_of(pid: int, pgdata: Path) -> bool:
    """Whether the process serves this very folder: a server's working directory is its data."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cwd").samefile(pgdata)
        except OSError:
            return False
    ps = ["ps", "-o", "command=", "-p", str(pid)]
    said = subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603 - a number is all it takes
    return "postgres" in said and str(pgdata) in said


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def wait_for_end(pid: int, timeout_seconds: float) -> bool:
    """Wait for a process that need not be our child; whether it ended."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        except OSError:
            return _poll_for_end(pid, timeout_seconds)
        try:
            return bool(select.select([descriptor], [], [], timeout_seconds)[0])
        finally:
            os.close(descriptor)
    return _poll_for_end(pid, timeout_seconds)


def _poll_for_end(pid: int, timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while lives(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end_leftover(pgdata: Path, patience_seconds: float = 60) -> int | None:
    """Stop a server that outlived its RagIndex, and clear away a pid file that misleads. Returns the pid of the server
    that was stopped. The caller holds the folder's lock, so no living RagIndex wants that server."""
    noted = PidFile.read(pgdata)
    if noted is None:
        return None
    if not is_server_of(noted.pid, pgdata):
        _end_orphans(pgdata)
        # Its process is gone, and the number may be somebody else's by now, which PostgreSQL cannot always tell.
        (pgdata / "postmaster.pid").unlink(missing_ok=True)
        return None
    for number, patience in ((signal.SIGINT, patience_seconds), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        try:
            os.kill(noted.pid, number)
        except ProcessLookupError:
            break
        if wait_for_end(noted.pid, patience):
            break
    return noted.pid


def _end_orphans(pgdata: Path) -> None:
    """Children of a server that was killed work on until they look up, and a second server must not run beside them.

    PostgreSQL refuses that by itself, but only as long as the pid file stands. Where processes cannot be looked at,
    they have ended by the time anyone starts anew."""
    if sys.platform != "linux":
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _runs_postgres(entry) and is_server_of(int(entry.name), pgdata):
            pid = int(entry.name)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            wait_for_end(pid, 10.0)


def _runs_postgres(entry: Path) -> bool:
    """Not the shell of somebody who has a look at the folder."""
    try:
        return (entry / "exe").readlink().name.startswith("postgres")
    except OSError:
        return False
