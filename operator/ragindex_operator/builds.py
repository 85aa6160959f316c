"""Building and dropping vector indexes, one at a time and beside everything else: it takes minutes, and a reconcile
must not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ragindex_core.errors import RagIndexError

log = logging.getLogger(__name__)


class Builds:
    def __init__(self, finished: Callable[[], None]) -> None:
        """``finished`` is told after each, so that somebody looks what there is to do next."""
        self._finished = finished
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="index-builds")
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def start(self, name: str, build: Callable[[], None]) -> None:
        """Unless one of this name waits or runs already."""
        with self._lock:
            if name in self._under_way:
                return
            self._under_way.add(name)
        self._pool.submit(self._run, name, build)

    def _run(self, name: str, build: Callable[[], None]) -> None:
        try:
            build()
        except RagIndexError as error:
            log.warning("index build broke off", extra={"build": name, "why": str(error)})
        except Exception:
            log.exception("index build failed", extra={"build": name})
        finally:
            with self._lock:
                self._under_way.discard(name)
            self._finished()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
