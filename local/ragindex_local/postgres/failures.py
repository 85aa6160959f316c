"""What PostgreSQL said when it failed, as an error that names the way out."""

from __future__ import annotations

import shutil
from pathlib import Path

from ragindex_core.errors import Misconfigured, RagIndexError, Unavailable

ELSEWHERE = "--data DIR (DATA=DIR with make)"
ANEW = f"or start anew in another folder with {ELSEWHERE}: the documents are then indexed again"


def disk_full(folder: Path) -> Misconfigured:
    usage = shutil.disk_usage(_existing(folder))
    return Misconfigured(
        f"The disk that holds {folder} is full ({usage.free // 1024**2} MB free of {usage.total // 1024**2} MB). Free "
        f"some space, or choose a folder on another disk with {ELSEWHERE}."
    )


def explain(words: str, data: Path, log: Path | None) -> RagIndexError:
    """The error for the last words of a PostgreSQL program that worked on ``data``."""
    seen = words.lower()
    if "no space left on device" in seen and "shared memory" in seen:
        return Misconfigured(
            "There is too little shared memory (/dev/shm) for PostgreSQL; give the container more (--shm-size)."
        )
    if "no space left on device" in seen or "disk quota exceeded" in seen:
        return disk_full(data)
    if "cannot allocate memory" in seen:
        return Misconfigured(f"There is too little memory to start PostgreSQL. Its words: {_last(words)}")
    if "read-only file system" in seen:
        return Misconfigured(f"{data} lies on a read-only disk; choose another folder with {ELSEWHERE}.")
    if "permission denied" in seen or "operation not permitted" in seen:
        return Misconfigured(
            f"PostgreSQL may not use its files in {data}; give them to the account that runs it, {ANEW}. "
            f"Its words: {_last(words)}"
        )
    if "could not locate a valid checkpoint record" in seen or "invalid checkpoint record" in seen or "panic:" in seen:
        return Misconfigured(
            f"The database in {data} is damaged. Restore it from a backup, {ANEW}. Its words: {_last(words)}"
        )
    where = f" The whole log: {log}" if log else ""
    return Unavailable(f"PostgreSQL failed. Its words: {_last(words) or 'none'}.{where}")


def port_is_taken(words: str) -> bool:
    return "address already in use" in words.lower()


def _last(words: str, lines: int = 3) -> str:
    kept = [line.strip() for line in words.splitlines() if line.strip()]
    grave = [line for line in kept if any(mark in line for mark in ("FATAL", "PANIC", "error:", "ERROR"))]
    return " | ".join((grave or kept)[-lines:])


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
