"""Processes that never outlive the tests: each leads a group of its own, and a guardian knows of all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.kube.harness import guardian


class Processes:
    """Starts processes and ends them, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", guardian.__file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def start(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        with self._lock:
            self._running.append(process)
            self._tell(f"+{process.pid}")
        return process

    @property
    def pids(self) -> list[int]:
        with self._lock:
            return [process.pid for process in self._running]

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for its end, which is the end of its whole group, as in a container."""
        code = process.wait()
        send(process, signal.SIGKILL)
        with self._lock:
            if process in self._running:
                self._running.remove(process)
                self._tell(f"-{process.pid}")
        return code

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        send(process, signal.SIGKILL)
        self.wait(process)

    def close(self) -> None:
        for process in list(self._running):
            self.kill(process)
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait()

    def _tell(self, line: str) -> None:
        assert self._guardian.stdin is not None
        self._guardian.stdin.write(line + "\n")
        self._guardian.stdin.flush()


def end(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Ask it to end, and make its whole group end after the grace period."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    send(process, signal.SIGKILL)


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the whole group; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
