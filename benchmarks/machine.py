"""The machine a run happens on, and what processes cost on it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("ragindex", "fastapi", "uvicorn", "sqlalchemy", "psycopg", "numpy", "onnxruntime", "tokenizers")
ROOT = Path(__file__).parents[1]


def describe() -> dict[str, Any]:
    """Enough to know what figures can be compared with."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def moment() -> dict[str, Any]:
    """When, of which code, and beside how much else."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("rev-parse", "--short=10", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return f"{commit} and changes" if changed else commit


def cpu_seconds(root: int) -> float:
    """Processor time of a process, of those below it, and of those below it that have ended."""
    return sum(_own_seconds(pid, with_ended=True) for pid in family(root))


def family(root: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, ())
    return found


def peak_rss_mib(pid: int) -> float:
    """The most memory that the process ever had."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := _stat(int(name))):
            yield int(name), int(fields[1])


def _own_seconds(pid: int, *, with_ended: bool) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/…/stat from the third on: the second, the name, may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
