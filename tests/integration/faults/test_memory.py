"""However large a folder is, whoever lists and reads it needs little memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.engine.conftest import Embedders, Engine

from ragindex_db import schema
from ragindex_db.engine import Database
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

#: The whole of it takes half an hour; RAGINDEX_FAULTS=long runs that.
LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
MOST_MIB = 600
MIB = 1 << 20
#: Of a gigabyte: files with too much text in them, the largest that are taken, and many in which little is text.
UNREADABLE, LARGEST, PADDED = (4, 2, 580) if LONG else (1, 1, 8)
UNREADABLE_BYTES, LARGEST_BYTES, PADDED_BYTES = (95 * MIB, 18 * MIB, MIB) if LONG else (21 * MIB, 2 * MIB, MIB)
SMALL_FILES = 100_000 if LONG else 400


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> Iterator[Engine]:
    builds = Builds(lambda: None)
    engine = Engine(
        database=database,
        folder=tmp_path,
        reconciler=Reconciler(database, Fence.raised(database, "test", "me"), LocalWorkforce(), builds),
        embedders=Embedders(),
        scratch=tmp_path / "scratch",
        built=threading.Event(),
        uid=str(uuid.uuid4()),
    )
    engine.scratch.mkdir()
    engine.document["spec"]["embedding"]["dimensions"] = 32
    engine.document["spec"]["rollout"] = {"maxEstimatedTokens": 1_000_000_000}
    engine.document["spec"]["sources"] = [{"name": "files", "directory": {"path": "files"}}]
    yield engine
    builds.close()


def prose(chance: random.Random, size: int) -> str:
    words = [f"{a}{b}" for a in ("tower", "keeper", "lamp", "storm", "rock") for b in ("", "s", "ed", "ing", "er")]
    sentence = [" ".join(chance.choices(words, k=9)).capitalize() + f" {n}. " for n in range(200)]
    paragraphs = []
    while size > 0:
        paragraphs.append("".join(chance.choices(sentence, k=6)))
        size -= len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def peak_mib(engine: Engine, url: str) -> tuple[float, float]:
    """The most memory that the worker took, and any of its parsers, until nothing was left to do."""
    command = [sys.executable, "-m", "tests.integration.faults.frugal_worker", url, str(engine.scratch)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    worker = parser = 0.0
    while process.poll() is None:
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            worker = max(worker, _high_water(process.pid))
            parser = max([parser, *(_high_water(child) for child in _children(process.pid))])
    assert process.returncode == 0
    return worker, parser


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in _read(task).split()]


def _high_water(pid: int) -> float:
    lines = [line.split() for line in _read(Path(f"/proc/{pid}/status")).splitlines()]
    return next((int(line[1]) / 1024 for line in lines if line[:1] == ["VmHWM:"]), 0.0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has ended


def worked_off(engine: Engine, url: str) -> list[tuple[float, float]]:
    """The folder listed, then read."""
    peaks = []
    for _ in range(2):
        engine.reconcile()
        peaks.append(peak_mib(engine, url))
    print(f"peak MiB of worker and parser, listing and reading: {peaks}")  # noqa: T201  the figure, with -s
    return peaks


def states(engine: Engine) -> dict[str, int]:
    rd = schema.revision_documents
    with engine.database.begin() as connection:
        rows = connection.execute(sa.select(rd.c.state, sa.func.count()).group_by(rd.c.state))
        return {row[0]: row[1] for row in rows}


def test_large_files_and_many_of_them_need_little_memory(engine: Engine, database_url: str) -> None:
    chance = random.Random(5)
    for n in range(UNREADABLE):
        engine.write(f"too-large-{n}.txt", prose(chance, UNREADABLE_BYTES))
    for n in range(LARGEST):
        engine.write(f"largest-{n}.txt", prose(chance, LARGEST_BYTES))
    padding = "<!--" + "x" * PADDED_BYTES + "-->"
    for n in range(PADDED):
        engine.write(f"pages/{n:04}.html", f"<html><body>{padding}<p>{prose(chance, 2_000)}</p></body></html>")
    peaks = worked_off(engine, database_url)
    assert states(engine) == {"Failed": UNREADABLE, "Indexed": LARGEST + PADDED}
    assert max(max(peak) for peak in peaks) < MOST_MIB


def test_many_small_files_need_little_memory(engine: Engine, database_url: str) -> None:
    for n in range(SMALL_FILES):
        engine.write(f"{n % 100:02}/{n:06}.md", f"# Number {n}\n\nTower {n} has a keeper.\n")
    peaks = worked_off(engine, database_url)
    assert states(engine) == {"Indexed": SMALL_FILES}
    engine.ask("sync", "again")
    engine.reconcile()
    again = peak_mib(engine, database_url)
    print(f"peak MiB of listing all of it again: {again}")  # noqa: T201  the figure, with -s
    assert max(max(peak) for peak in [*peaks, again]) < MOST_MIB
