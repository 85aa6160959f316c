"""kopf tells which RagIndex objects changed, and nothing more: it writes nothing, keeps nothing and decides nothing.

What it does not notice by itself is noticed here, and mended by a new run within the process: a watcher that died, a
watch on which nothing comes, an end of its own. What cannot be mended shows in the vital signs.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kopf

from ragindex_operator.cluster.api import rag_indexes
from ragindex_operator.cluster.connection import WATCH_SECONDS, Connection
from ragindex_operator.cluster.kopf_session import KopfSession
from ragindex_operator.cluster.vital_signs import VitalSigns

log = logging.getLogger(__name__)

_PLURAL = "ragindexes"
_LOOP = "event loop"
_LOOK_EVERY = 1.0
#: To log in, see what the API server serves, and begin to watch.
_TO_BEGIN = 30.0
#: kopf itself opens a silent watch anew after ten seconds less than twice that; then all of it is begun anew.
_SILENCE = 80.0
_TO_END = 15.0
_LONGEST_PAUSE = 30.0


class ObjectEvents:
    """``add`` is told of every object once at the start and at every change, ``gone`` of every one that is no more.

    Both are called in the event loop, with "namespace/name", and must not wait. No namespaces means all of them.
    """

    def __init__(
        self,
        add: Callable[[str], None],
        gone: Callable[[str], None],
        vital_signs: VitalSigns,
        namespaces: Sequence[str],
        connection: Connection,
        *,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._add = add
        self._gone = gone
        self._vital_signs = vital_signs
        self._namespaces = tuple(namespaces)
        self._connection = connection
        self._uniform = uniform
        named = {rag_indexes(namespace): f"ragindexes in {namespace}" for namespace in self._namespaces}
        self._watches = named or {rag_indexes(): "ragindexes"}
        self._stopping = threading.Event()
        self._handing_over = threading.Lock()
        self._end_run: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="object events", daemon=True)

    def start(self) -> None:
        for name in self._watches.values():
            self._vital_signs.expect(name)
        self._thread.start()

    def stop(self) -> None:
        with self._handing_over:
            self._stopping.set()
            self._end_run()
        self._thread.join()
        for name in (_LOOP, *self._watches.values()):
            self._vital_signs.forget(name)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            heard = False
            try:
                heard, why = asyncio.run(self._one_run())
            except Exception as error:
                log.exception("kopf has failed")
                why = str(error)
            if self._stopping.is_set():
                return
            failures = 0 if heard else failures + 1
            log.error("kopf is begun anew", extra={"why": why})
            for name in self._watches.values():
                self._vital_signs.fail(name, why)
            self._vital_signs.forget(_LOOP)
            self._stopping.wait(min(2.0**failures, _LONGEST_PAUSE) * self._uniform())

    async def _one_run(self) -> tuple[bool, str]:
        """From login to the end, whoever brings it about: whether anything was heard, and why it ended."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._handing_over:
            if self._stopping.is_set():
                return False, "stopped"
            self._end_run = lambda: loop.call_soon_threadsafe(stop.set)
        session = KopfSession(self._connection, self._watches, self._vital_signs.goes_on)
        # Before kopf's own: it ends all that came after it.
        watchman = _Watchman(session, self._vital_signs, tuple(self._watches.values()))
        looking = asyncio.create_task(watchman.look())
        await asyncio.sleep(0)
        kopfs = asyncio.create_task(self._kopf(session, stop))
        try:
            await asyncio.wait({looking, kopfs}, return_when=asyncio.FIRST_COMPLETED)
            why = looking.result() if looking.done() else _end_of(kopfs)
            stop.set()
            await asyncio.wait({kopfs}, timeout=_TO_END)
        finally:
            with self._handing_over:
                self._end_run = lambda: None
            for task in (looking, kopfs):
                task.cancel()
            await session.close()
        return watchman.heard, why

    async def _kopf(self, session: KopfSession, stop: asyncio.Event) -> None:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(session.login)

        async def changed(*, event: kopf.RawEvent, name: str, namespace: str | None, **_: Any) -> None:
            (self._gone if event["type"] == "DELETED" else self._add)(f"{namespace}/{name}")

        kopf.on.event("ragindex.io", "v1alpha1", _PLURAL, registry=registry)(changed)
        await kopf.operator(
            registry=registry,
            settings=_settings(self._uniform),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )


class _Watchman:
    """Looks at one run each second; ends when it cannot go on."""

    def __init__(self, session: KopfSession, vital_signs: VitalSigns, names: tuple[str, ...]) -> None:
        self._session = session
        self._vital_signs = vital_signs
        self._names = names
        self.heard = False

    async def look(self) -> str:
        """Why the run must end."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        heard_at = dict.fromkeys(self._names, began_at)
        begun = False
        while True:
            before = loop.time()
            await asyncio.sleep(_LOOK_EVERY)
            now = loop.time()
            self._vital_signs.lag(_LOOP, now - before - _LOOK_EVERY)
            for name in self._session.heard():
                self._vital_signs.beat(name)
                heard_at[name] = now
                self.heard = True
            watchers = sum(task.get_name().startswith("watcher for ") for task in asyncio.all_tasks())
            begun = begun or watchers == len(self._names) or self._session.watched >= set(self._names)
            if begun and watchers < len(self._names):
                return "a watcher has ended"
            if not begun and now - began_at > _TO_BEGIN:
                return "no watch has begun: is the CustomResourceDefinition there?"
            silent = [name for name, at in heard_at.items() if now - at > _SILENCE]
            if silent:
                return f"nothing came for {_SILENCE:.0f} s"


def _end_of(task: asyncio.Task[None]) -> str:
    error = task.exception() if not task.cancelled() else None
    return "kopf has ended" if error is None else f"kopf has failed: {error!r}"


class _Pauses:
    """Between attempts of one request; without an end, since nothing is mended by giving up."""

    def __init__(self, uniform: Callable[[], float]) -> None:
        self._uniform = uniform

    def __iter__(self) -> Iterator[float]:
        bound = 1.0
        while True:
            yield bound * self._uniform()
            bound = min(bound * 2, 10.0)


def _settings(uniform: Callable[[], float]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # by least privilege we may not list namespaces or definitions
    settings.posting.enabled = False
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.inactivity_timeout = WATCH_SECONDS + 10
    settings.watching.client_timeout = 2 * WATCH_SECONDS
    settings.watching.connect_timeout = 5
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _Pauses(uniform)
    settings.queueing.error_delays = (1, 1, 2, 3, 5, 8, 13, 21, 34, 60)
    settings.queueing.worker_limit = None  # any limit can stop it for ever
    settings.process.ultimate_exiting_timeout = None  # it would kill the process when one run ends slowly
    return settings
