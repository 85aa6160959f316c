"""Server settings for a machine of a given size. Data stays safe: fsync and full-page writes are left on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """What the settings depend on."""

    memory_bytes: int
    cores: int
    shared_memory_bytes: int  # room in /dev/shm: 64 MiB in an ordinary container

    @classmethod
    def this(cls) -> Machine:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(min(memory, _cgroup_limit() or memory), os.cpu_count() or 1, _room("/dev/shm"))  # noqa: S108


def _cgroup_limit() -> int | None:
    try:
        said = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(said) if said.isdecimal() else None


def _room(folder: str) -> int:
    try:
        return os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    except OSError:
        return 0


def settings(machine: Machine) -> dict[str, str]:
    """Names and values as PostgreSQL takes them on its command line."""
    mib = machine.memory_bytes // MIB
    shared_buffers = _between(32, mib // 8, 1024)
    maintenance = _between(32, mib // 16, 1024)
    parallel = _between(0, machine.cores - 1, 4)
    # A parallel index build keeps its whole graph in dynamic shared memory.
    roomy = machine.shared_memory_bytes > (maintenance + 64) * MIB
    return {
        "shared_buffers": f"{shared_buffers}MB",
        "effective_cache_size": f"{max(64, mib // 2)}MB",
        "maintenance_work_mem": f"{maintenance}MB",
        "autovacuum_work_mem": f"{min(128, maintenance)}MB",
        "work_mem": f"{_between(4, mib // 64, 64)}MB",
        "max_parallel_maintenance_workers": str(parallel),
        "dynamic_shared_memory_type": "posix" if roomy else "mmap",
        "jit": "off",  # compiling costs more than these queries take
        "random_page_cost": "1.1",
        "max_wal_size": "2GB",
        "wal_level": "minimal",  # nothing is replicated; a first fill then skips the log for tables it has just made
        "max_wal_senders": "0",
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The log must hold no document text: no statements, no details of violated constraints.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] ",
        "logging_collector": "off",
    }


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))
