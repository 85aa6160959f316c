"""A process that dies before, within or after any effect of a reconcile: once restarted, it comes to the same end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
from psycopg import sql
from tests.integration.faults.lives import Stage, as_line
from tests.integration.faults.state import state

from ragindex_core.reconcile.actions import Action

#: All points take minutes; without RAGINDEX_FAULTS=long every so many is taken.
EVERY = 1 if os.environ.get("RAGINDEX_FAULTS") == "long" else 40
FIRST, SECOND = (str(uuid.UUID(int=n)) for n in (1, 2))

OBJECT: dict[str, Any] = {
    "apiVersion": "ragindex.io/v1alpha1",
    "kind": "RagIndex",
    "metadata": {"name": "notes"},
    "spec": {
        "embedding": {"provider": "OpenAI", "model": "words", "dimensions": 32},
        "chunking": {"maxTokens": 200, "overlapTokens": 20},
        "sources": [{"name": "files", "directory": {"path": "files"}}],
        "suspend": True,
    },
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a stage begins with; ``spec`` is merged into that of the stage before."""

    spec: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    asked: tuple[tuple[str, str], ...] = ()
    uid: str = FIRST
    deleting: bool = False


def chunks_of(tokens: int) -> dict[str, Any]:
    return {"chunking": {"maxTokens": tokens, "overlapTokens": 20}}


#: In this order, each from where the one before ended. Every action there is occurs in one of them.
LIFE = {
    "made, but suspended": Change(),
    "another chunking before the first fill, which follows": Change({"suspend": False, **chunks_of(150)}),
    "what failed again, all anew, and a run": Change(
        asked=(("promote", "r9"), ("retry-failed", "one"), ("rebuild", "one"), ("sync", "one"))
    ),
    "another chunking, too dear": Change({"rollout": {"maxEstimatedTokens": 1}, **chunks_of(100)}),
    "approved and promoted": Change(asked=(("approve", "r3"),)),
    "rolled back": Change(asked=(("rollback", "r2"),)),
    "promoted after all": Change({"rollout": {}}, asked=(("promote", "r3"),)),
    "another graph": Change({"index": {"hnsw": {"m": 8, "efConstruction": 40}}}),
    "no graph": Change({"index": {"type": "None"}}),
    "the last revision alone is kept": Change({"rollout": {"retainRevisions": 0}}),
    "deleted, its data retained": Change({"deletionPolicy": "Retain"}, deleting=True),
    "its data adopted": Change({**chunks_of(90)}, annotations={"ragindex.io/adopt-from": FIRST}, uid=SECOND),
    "deleted with its data": Change({"deletionPolicy": "Delete"}, uid=SECOND, deleting=True),
}


_CREATE = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
_DROP = sql.SQL("DROP DATABASE {} WITH (FORCE)")


class Lives:
    """Databases and the process that lives stages on them."""

    def __init__(self, server_url: str, template: str, folder: Path) -> None:
        self._server_url = server_url
        self._folder = folder
        self._names = [template]
        self._template = template
        command = [sys.executable, "-m", "tests.integration.faults.lives"]
        pipes = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process = pipes(command, cwd=Path(__file__).parents[3])

    def live(self, stage: Stage) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(as_line(stage))
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def copy(self, of: Stage | None) -> tuple[str, Path]:
        """The database and what lies beside it, as a stage left them."""
        name = f"life_{uuid.uuid4().hex[:12]}"
        outside = self._folder / name
        if of is None:
            outside.mkdir()
        else:
            shutil.copytree(of.outside, outside)
            (outside / "points").unlink()
            (outside / "released").unlink(missing_ok=True)
        self._run(_CREATE, name, of.url.rpartition("/")[2] if of else self._template)
        return f"{self._server_url}/{name}", outside

    def drop(self, stage: Stage) -> None:
        self._run(_DROP, stage.url.rpartition("/")[2])
        shutil.rmtree(stage.outside)

    def _run(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(f"{self._server_url}/postgres", autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def lives(server_url: str, template: str, tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(server_url, template, tmp_path)
    yield lives
    lives.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    files.mkdir()
    for n in range(4):
        sentences = (f"Tower {n} has a keeper called keeper{n}-{m}." for m in range(30))
        (files / f"{n}.md").write_text(f"# Tower {n}\n\n" + " ".join(sentences) + "\n")
    (files / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    return tmp_path


def all_of(stage: Stage) -> dict[str, Any]:
    outside = Path(stage.outside)
    workers = outside / "workers"
    return state(stage.url) | {
        "workers": json.loads(workers.read_text()) if workers.exists() else None,
        "released": (outside / "released").exists(),
    }


def points_of(stage: Stage) -> list[str]:
    return (Path(stage.outside) / "points").read_text().splitlines()


def differences(clean: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What should be there, and what is there instead."""
    wrong = {}
    for key in clean | found:
        wanted, there = clean.get(key), found.get(key)
        if wanted == there:
            continue
        if isinstance(wanted, list) and isinstance(there, list):
            these, those = Counter(map(repr, wanted)), Counter(map(repr, there))
            wanted, there = list((these - those).elements()), list((those - these).elements())
        wrong[key] = {"wanted": wanted, "there": there}
    return wrong


def stages(lives: Lives, folder: Path) -> Iterator[tuple[str, Stage | None, Stage]]:
    """Each stage, lived without a fault, after the one it follows."""
    document, before, generation = deepcopy(OBJECT), None, 1
    for name, change in LIFE.items():
        document = deepcopy(document)
        # What adopts may well be as old as what it adopts was: it is a new object.
        generation += bool(change.spec) and change.uid == FIRST
        document["spec"].update(change.spec)
        document["metadata"]["annotations"] = change.annotations
        url, outside = lives.copy(before)
        stage = Stage(
            url=url,
            outside=str(outside),
            folder=str(folder),
            document=document,
            generation=generation,
            uid=change.uid,
            deleting=change.deleting,
            asked=change.asked,
        )
        assert lives.live(stage) == 0, name
        yield name, before, stage
        before = stage


def test_killed_at_any_effect_it_comes_to_the_same_end(lives: Lives, source: Path) -> None:
    met, killed, number = set[str](), 0, 0
    wrong: dict[str, Any] = {}
    for name, before, clean in stages(lives, source):
        expected = all_of(clean)
        for point in points_of(clean):
            met.add(point.partition(",")[0].partition(" #")[0])
            number += 1
            if number % EVERY:
                continue
            url, outside = lives.copy(before)
            stage = replace(clean, url=url, outside=str(outside), kill_at=point)
            assert lives.live(stage) == -9, f"{name}: {point} was not reached"
            assert lives.live(replace(stage, kill_at=None)) == 0, f"{name}: killed at {point}"
            killed += 1
            if different := differences(expected, all_of(stage)):
                wrong[f"{name}: {point}"] = different
            lives.drop(stage)
    print(f"killed at {killed} of {number} points")  # noqa: T201  the figure, with -s
    assert not wrong, json.dumps(wrong, indent=1, default=str)
    of_clusters = {"ListSources", "MirrorSource", "KeepTimetable", "DropTimetable"}  # where nobody stands by
    assert met >= {action.__name__ for action in get_args(Action)} - of_clusters | {"WriteStatus"}
