"""How much memory a server and all its processes hold, shared pages counted once."""

from __future__ import annotations

from benchmarks.machine import family


def held_mib(root: int) -> float:
    """Of the process and everything below it, at this moment."""
    return sum(map(_proportional_kib, family(root))) / 1024


def _proportional_kib(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    except OSError:  # it has ended since
        return 0
