"""Load from outside, and what it cost: wrk against the service, pgbench against the database alone."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.machine import cpu_seconds
from benchmarks.service import Service
from benchmarks.stage import Stage
from ragindex_core.errors import Misconfigured
from ragindex_local.postgres import binaries

_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Run:
    """Processor times are milliseconds a request: of the load generator, of the database, of the service."""

    rate: float
    p50_ms: float
    p99_ms: float
    generator_ms: float
    database_ms: float
    service_ms: float = 0.0
    errors: int = 0

    @property
    def total_ms(self) -> float:
        return self.generator_ms + self.database_ms + self.service_ms


def median(runs: Sequence[Run]) -> Run:
    """Each number by itself."""
    return Run(*(statistics.median(values) for values in zip(*(_values(run) for run in runs), strict=True)))


def _values(run: Run) -> tuple[float, ...]:
    return tuple(getattr(run, name) for name in Run.__slots__)


def wrk_program() -> str:
    """Raises Misconfigured with the way out when it is not there."""
    program = shutil.which("wrk")
    if program is None:
        raise Misconfigured(
            "wrk, which makes the load, is not installed: `apt-get install wrk` (on macOS `brew install wrk`)"
        )
    return program


def pgbench_program() -> Path:
    """Of the server that the stage runs: the newest one of the wheel."""
    return binaries.installed()[0].program("pgbench")


def write_bodies(path: Path, bodies: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return path


def wrk(stage: Stage, service: Service, path: str, bodies: Path, *, connections: int, seconds: float) -> Run:
    """The bodies in turn, each POSTed to ``path``, from one thread."""
    command = [wrk_program(), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(_SCRIPT)]
    before = service.cpu_seconds(), cpu_seconds(stage.server_pid)
    output, own = _timed([*command, service.url + path, "--", str(bodies)])
    after = service.cpu_seconds(), cpu_seconds(stage.server_pid)
    found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
    assert found is not None, output
    told = json.loads(found[1])
    requests = max(told["requests"], 1)
    return Run(
        rate=told["requests"] / told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        generator_ms=own * 1000 / requests,
        service_ms=(after[0] - before[0]) * 1000 / requests,
        database_ms=(after[1] - before[1]) * 1000 / requests,
        errors=told["errors"],
    )


def pgbench(stage: Stage, script: str, *, clients: int, seconds: float, options: str) -> Run:
    """A hand-written statement by prepared statements, from one thread; ``options`` are of the session."""
    folder = stage.folder / "pgbench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    file = folder / "script.sql"
    file.write_text(script, encoding="utf-8")
    url = sa.make_url(stage.url)
    command = [str(pgbench_program()), "-n", "-M", "prepared", f"-c{clients}", "-j1", f"-T{max(1, round(seconds))}"]
    command += ["-l", f"--log-prefix={folder}/log", "--sampling-rate=0.2", "-f", str(file)]
    command += ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), str(url.database)]
    environment = {**os.environ, "PGPASSWORD": str(url.password), "PGOPTIONS": options}
    before = cpu_seconds(stage.server_pid)
    output, own = _timed(command, environment)
    database = cpu_seconds(stage.server_pid) - before
    rate = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    done = re.search(r"^number of transactions actually processed: (\d+)", output, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.MULTILINE)
    assert rate is not None, output
    assert done is not None, output
    count = max(int(done[1]), 1)
    latencies = sorted(_latencies_ms(folder))
    return Run(
        rate=float(rate[1]),
        p50_ms=_quantile(latencies, 0.5),
        p99_ms=_quantile(latencies, 0.99),
        generator_ms=own * 1000 / count,
        database_ms=database * 1000 / count,
        errors=int(failed[1]) if failed else 0,
    )


def _latencies_ms(folder: Path) -> list[float]:
    lines = [line for file in folder.glob("log.*") for line in file.read_text(encoding="utf-8").splitlines()]
    return [int(line.split()[2]) / 1000 for line in lines]


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def _timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[str, float]:
    """What it wrote, and the processor time of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-500:]} {done.stderr[-2000:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
