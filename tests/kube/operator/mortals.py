"""Operators that end or stop at a point, started in no time: lives of ``mortal_operator`` in a process beside."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kube.operator.mortal_operator import Life, as_line

_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Mortal:
    """One life. Its process is no child of ours."""

    pid: int
    life: Life

    @property
    def points(self) -> list[str]:
        note = Path(self.life.note)
        return note.read_text().splitlines() if note.exists() else []

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def stopped(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def await_end(self, seconds: float) -> bool:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        assert self.await_end(10), "it outlives SIGKILL"

    def said(self) -> str:
        return "\n".join(Path(self.life.log).read_text(errors="replace").splitlines()[-60:])


class Mortals:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._number = 0
        command = [sys.executable, "-m", "tests.kube.operator.mortal_operator"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, start_new_session=True
        )

    def live(
        self,
        settings: dict[str, str],
        end_at: str | None = None,
        how: signal.Signals = signal.SIGKILL,
        times: Mapping[str, float] | None = None,
    ) -> Mortal:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._number += 1
            files = {
                "note": f"{self._folder / str(self._number)}.points",
                "log": f"{self._folder / str(self._number)}.log",
            }
            life = Life(settings=settings, end_at=end_at, how=how, times=times or {}, **files)
            self._process.stdin.write(as_line(life))
            self._process.stdin.flush()
            return Mortal(int(self._process.stdout.readline()), life)

    def close(self) -> None:
        """Whatever lives still ends with it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._process.stdout.close()
