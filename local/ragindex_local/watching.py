"""A thread that says which of some folders moved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import watch

log = logging.getLogger(__name__)

_SETTLE_MILLISECONDS = 400


class FolderWatch(threading.Thread):
    """Calls ``moved`` with the paths that changed in the folders followed; with ``recursive`` also below them."""

    def __init__(self, moved: Callable[[set[Path]], None], *, recursive: bool) -> None:
        super().__init__(name="folder-watch", daemon=True)
        self._moved = moved
        self._recursive = recursive
        self._folders: frozenset[Path] = frozenset()
        self._interrupt = threading.Event()
        self._stopping = False

    def follow(self, folders: Iterable[Path]) -> None:
        wanted = frozenset(folders)
        if wanted != self._folders:
            self._folders = wanted
            self._interrupt.set()

    def stop(self) -> None:
        self._stopping = True
        self._interrupt.set()

    def run(self) -> None:
        while not self._stopping:
            self._interrupt.clear()
            there = [folder for folder in self._folders if folder.is_dir()]
            if not there:
                self._interrupt.wait()
                continue
            try:
                for changes in watch(
                    *there,
                    watch_filter=None,  # a document may well lie in a folder called node_modules
                    stop_event=self._interrupt,
                    debounce=_SETTLE_MILLISECONDS,
                    recursive=self._recursive,
                ):
                    self._moved({Path(name) for _, name in changes})
            except OSError as error:
                log.warning("folders cannot be watched; the schedule still finds changes", extra={"why": str(error)})
                self._interrupt.wait(10)
