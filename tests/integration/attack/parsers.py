"""How much memory the parsers' processes take, seen from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PARSER = b"ragindex_worker.parsing.child"


@dataclass
class Peak:
    mib: float = 0.0


@contextmanager
def watched() -> Iterator[Peak]:
    """The most that any parser of this process was ever seen to hold."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for pid in _children():
                peak.mib = max(peak.mib, _most_resident(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _children() -> list[str]:
    found: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that ended meanwhile
            found += (task / "children").read_text().split()
    return found


def _most_resident(pid: str) -> float:
    try:
        if _PARSER not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0.0
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0  # it ended meanwhile
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
