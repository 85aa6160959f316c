"""A thread that says which of some folders moved, those among them that come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, watch

log = logging.getLogger(__name__)

_SETTLE_MILLISECONDS = 400
#: The system tells nothing of a folder that is not there, and a watch on one that was deleted stays silent when another
#: takes its place: so often it is looked which of them are there.
_LOOK_SECONDS = 1.0

_Identity = tuple[int, int]


class FolderWatch(threading.Thread):
    """Calls ``moved`` with the paths that changed in the folders followed; with ``recursive`` also below them. A folder
    that appears, goes or is replaced is a change of its own. What is there when it is first followed is none."""

    def __init__(
        self, moved: Callable[[set[Path]], None], *, recursive: bool, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        super().__init__(name="folder-watch", daemon=True)
        self._moved = moved
        self._recursive = recursive
        self._look_seconds = look_seconds
        self._folders: frozenset[Path] = frozenset()
        self._at_first: dict[Path, _Identity | None] = {}
        self._seen: dict[Path, _Identity | None] = {}
        self._interrupt = threading.Event()
        self._stopping = False

    def follow(self, folders: Iterable[Path]) -> None:
        wanted = frozenset(folders)
        if wanted != self._folders:
            # Looked at here, so that one made before the thread's own first look is news all the same.
            self._at_first = {folder: _identity(folder) for folder in wanted}
            self._folders = wanted
            self._interrupt.set()

    def stop(self) -> None:
        self._stopping = True
        self._interrupt.set()

    def run(self) -> None:
        while not self._stopping:
            self._interrupt.clear()
            now = {folder: _identity(folder) for folder in self._folders}
            before = {**self._at_first, **self._seen}
            news = {folder for folder, identity in now.items() if before.get(folder, identity) != identity}
            self._seen = now
            there = [folder for folder, identity in now.items() if identity is not None]
            try:
                self._watch(there, news)
            except OSError as error:  # among them one that went between the look and the watch
                log.warning("folders cannot be watched; the schedule still finds changes", extra={"why": str(error)})
                self._tell(news)
                self._interrupt.wait(10 * self._look_seconds)

    def _watch(self, there: list[Path], news: set[Path]) -> None:
        """Until other folders are to be followed, or those there are not those that were. ``news`` is told once they
        are watched: what moves in them from then on is told in its turn."""
        if not there:
            self._tell(news)
            self._interrupt.wait(self._look_seconds if self._folders else None)
            return
        for changes in watch(
            *there,
            watch_filter=None,  # a document may well lie in a folder called node_modules
            stop_event=self._interrupt,
            debounce=_SETTLE_MILLISECONDS,
            rust_timeout=int(self._look_seconds * 1000),
            yield_on_timeout=True,
            recursive=self._recursive,
        ):
            self._tell({Path(name) for _, name in changes} | news)
            news = set()
            gone = {Path(name) for kind, name in changes if kind is Change.deleted} & self._seen.keys()
            self._seen.update(dict.fromkeys(gone))  # what comes after it may be given its number
            if gone or any(_identity(folder) != identity for folder, identity in self._seen.items()):
                return

    def _tell(self, moved: set[Path]) -> None:
        if moved:
            self._moved(moved)


def _identity(folder: Path) -> _Identity | None:
    """None when it is not there."""
    try:
        info = folder.stat()
    except OSError:
        return None
    return (info.st_dev, info.st_ino) if folder.is_dir() else None
