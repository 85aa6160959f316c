"""The disk under the database runs full during ingestion: what is indexed is still found, the reason is told, no
document is blamed for it, and all goes on by itself when there is room."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.faults.intact import check_intact
from tests.integration.faults.world import World, eventually, world

from ragindex_db import schema

_SIZE = "192m"  # an empty database, its log, and not much more


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(path)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk: it takes root, and a system that lets it mount one: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


class Ballast:
    """Takes all the room there is."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def load(self) -> None:
        with self._path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))

    def drop(self) -> None:
        self._path.unlink()


def test_a_full_disk_is_told_of_and_work_goes_on_when_there_is_room(tmp_path: Path, small_disk: Path) -> None:
    with world(tmp_path, small_disk / "postgres") as running:
        running.write({"first.md": "# First\n\nThe keeper of tower 7 is called Ansgar.\n"})
        running.await_indexed(1)
        before, ballast = running.pids, Ballast(small_disk)
        running.write({f"{n:02}.md": _long(n) for n in range(30)})
        eventually("ingestion is under way", lambda: running.states().get("Indexed", 0) > 4)
        ballast.load()
        eventually("it is told of", lambda: _reason(running) == ("False", "DatabaseFull"))
        running.write({"meanwhile.md": "# Meanwhile\n\nThe winch of Torsvik is new.\n"})

        found = running.search("who is the keeper of tower 7 called?")
        assert found.status_code == 200
        assert "Ansgar" in found.json()["results"][0]["text"]
        refused = running.upload("late.md", "The crane is red. " * 5000)
        assert (refused.status_code, refused.json()["detail"].partition(":")[0]) == (
            503,
            "the disk of the database is full",
        )
        assert running.conditions()["Ready"]["status"] == "True", "what is indexed is searched"
        assert running.conditions()["Progressing"]["reason"] == "DatabaseFull"
        assert "Failed" not in running.states()

        ballast.drop()
        running.await_indexed(32, seconds=60)
        assert running.pids == before, "no process was restarted"
        assert _attempts(running) == {1}, "no document paid for it with an attempt"
        eventually("all is well again", lambda: _reason(running) == ("True", "Connected"))
        check_intact(running.database, running.serving, 32)


def _long(n: int) -> str:
    sentences = (f"Harbour {n} has a crane numbered {k}, and the crane {k} of harbour {n} is red. " for k in range(200))
    return f"# Harbour {n}\n\n" + "".join(sentences)


def _reason(running: World) -> tuple[str, str] | None:
    condition = running.conditions().get("DatabaseReachable")
    return None if condition is None else (condition["status"], condition["reason"])


def _attempts(running: World) -> set[int]:
    with running.database.begin() as connection:
        return set(connection.execute(sa.select(schema.revision_documents.c.attempts)).scalars())
