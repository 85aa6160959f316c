"""Folders are followed whether they are there yet, go away or come back as others."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragindex_local.watching import FolderWatch


class Heard:
    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._more = threading.Condition()

    def __call__(self, moved: set[Path]) -> None:
        with self._more:
            self._paths |= moved
            self._more.notify_all()

    def hears_of(self, path: Path, seconds: float = 10.0) -> bool:
        """Once told, it is forgotten, so that it can be waited for again."""
        with self._more:
            told = self._more.wait_for(lambda: path in self._paths, seconds)
            self._paths.clear()
            return told


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def watching(heard: Heard) -> Iterator[FolderWatch]:
    watching = FolderWatch(heard, recursive=True, look_seconds=0.1)
    watching.start()
    yield watching
    watching.stop()
    watching.join(10)


def _await_watched(heard: Heard, folder: Path) -> None:
    """A watch begins without a word: files come until one is heard of."""
    for n in range(50):
        (folder / f"try-{n}").touch()
        if heard.hears_of(folder / f"try-{n}", 1.0):
            return
    pytest.fail(f"{folder} is not watched")


def test_a_folder_that_is_made_later_is_told_of_and_then_watched(
    heard: Heard, watching: FolderWatch, tmp_path: Path
) -> None:
    folder = tmp_path / "not" / "yet"
    watching.follow([folder])
    folder.mkdir(parents=True)
    assert heard.hears_of(folder)
    (folder / "a.md").write_text("a")
    assert heard.hears_of(folder / "a.md")


def test_a_folder_that_is_replaced_is_told_of_and_then_watched(
    heard: Heard, watching: FolderWatch, tmp_path: Path
) -> None:
    folder, other = tmp_path / "docs", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    watching.follow([folder, other])
    _await_watched(heard, folder)
    shutil.rmtree(folder)
    assert heard.hears_of(folder)
    folder.mkdir()
    assert heard.hears_of(folder)
    (folder / "b.md").write_text("b")
    assert heard.hears_of(folder / "b.md")
    (other / "c.md").write_text("c")
    assert heard.hears_of(other / "c.md")
