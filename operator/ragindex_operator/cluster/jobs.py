"""The operator's own Jobs and CronJobs, kept by a list and a watch of each with a label selector: every one, and not
one of anybody else's."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from ragindex_core.errors import Unavailable
from ragindex_operator.cluster.api import Body, Expired, KubeApi, Refused, Watch, cron_jobs, jobs
from ragindex_operator.cluster.connection import WATCH_SECONDS
from ragindex_operator.cluster.kept import Kept
from ragindex_operator.cluster.vital_signs import VitalSigns

log = logging.getLogger(__name__)

UID = "ragindex.io/uid"
NAMESPACE = "ragindex.io/namespace"
NAME = "ragindex.io/name"

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
_SHORTEST_WATCH = WATCH_SECONDS / 2
#: Then all is listed again, as a watch may have lost what it should have told.
_WATCHES = 3


def selector_of(installation: str) -> str:
    return f"app.kubernetes.io/managed-by=ragindex-operator,app.kubernetes.io/instance={installation}"


class JobStore:
    """What is given is as the API server told last, or as we wrote since; nobody else's to change.

    ``on_change`` is told the key "namespace/name" of the RagIndex object, from the labels, on a watch's own thread.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        installation: str,
        on_change: Callable[[str], None],
        vital_signs: VitalSigns,
    ) -> None:
        selector = selector_of(installation)
        #: Both kinds have been listed once: before that, what is not here may well be there.
        self.synced = threading.Event()
        self._jobs = _Following(api, "jobs", jobs(namespace), selector, on_change, self._listed, vital_signs)
        self._schedules = _Following(
            api, "cronjobs", cron_jobs(namespace), selector, on_change, self._listed, vital_signs
        )

    def start(self) -> None:
        for following in (self._jobs, self._schedules):
            following.start()

    def stop(self) -> None:
        for following in (self._jobs, self._schedules):
            following.stop()

    def of(self, uid: str) -> list[Body]:
        """The Jobs of one RagIndex object, oldest first."""
        return self._jobs.kept.of(uid)

    def schedule_of(self, uid: str) -> Body | None:
        """Its CronJob."""
        schedules = self._schedules.kept.of(uid)
        return schedules[0] if schedules else None

    def every(self) -> list[Body]:
        """All Jobs of the installation."""
        return self._jobs.kept.every()

    def every_schedule(self) -> list[Body]:
        return self._schedules.kept.every()

    def put(self, body: Body) -> None:
        """What the API server answered to our own write."""
        self._following(body).kept.wrote(body)

    def forget(self, body: Body) -> None:
        """We deleted it."""
        self._following(body).kept.deleted(body)

    def _listed(self) -> None:
        if self._jobs.listed.is_set() and self._schedules.listed.is_set():
            self.synced.set()

    def _following(self, body: Body) -> _Following:
        return self._schedules if body["kind"] == "CronJob" else self._jobs


class _Following(threading.Thread):
    """Follows one kind: lists, watches from there, and lists again when the watch cannot go on."""

    def __init__(
        self,
        api: KubeApi,
        kind: str,
        path: str,
        selector: str,
        on_change: Callable[[str], None],
        on_listed: Callable[[], None],
        vital_signs: VitalSigns,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(name=kind, daemon=True)
        self.kept = Kept(UID)
        self.listed = threading.Event()
        self._api = api
        self._path = path
        self._selector = selector
        self._on_change = on_change
        self._on_listed = on_listed
        self._vital_signs = vital_signs
        self._uniform = uniform
        self._stopping = threading.Event()
        self._handing_over = threading.Lock()
        self._watch: Watch | None = None
        self._failures = 0

    def start(self) -> None:
        self._vital_signs.expect(self.name)
        super().start()

    def stop(self) -> None:
        with self._handing_over:
            self._stopping.set()
            if self._watch is not None:
                self._watch.stop()
        self._vital_signs.forget(self.name)  # a request to an API server that hangs may last longer than a silence
        self.join()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except Expired:
                log.info("listing again", extra={"kind": self.name})
            except (Unavailable, Refused) as error:
                log.warning("listing again", extra={"kind": self.name, "why": str(error)})
            except Exception:
                log.exception("cannot follow", extra={"kind": self.name})
            pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 30), _LONGEST_PAUSE)
            self._failures += 1
            self._stopping.wait(pause * self._uniform())

    def _follow(self) -> None:
        """Lists, then lets one watch follow the other for a while."""
        started = self.kept.begin_list()
        items, version = self._api.list(self._path, self._selector)
        changed = self.kept.listed(items, started)
        self.listed.set()
        self._on_listed()
        self._tell(changed)
        for _ in range(_WATCHES):
            if self._stopping.is_set():
                return
            begun = time.monotonic()
            for event in self._opened(version):
                version = event["object"]["metadata"]["resourceVersion"]
                self._heard()
                self._take(event)
            if time.monotonic() - begun < _SHORTEST_WATCH:
                return  # not what we asked for
            self._heard()

    def _opened(self, version: str) -> Watch:
        watch = self._api.watch(self._path, version, self._selector)
        with self._handing_over:
            self._watch = watch
            if self._stopping.is_set():
                watch.stop()
        return watch

    def _heard(self) -> None:
        """An event, a bookmark, or the end of a watch in due form."""
        self._failures = 0
        self._vital_signs.beat(self.name)

    def _take(self, event: Body) -> None:
        if event["type"] != "BOOKMARK" and self.kept.heard(event["type"], event["object"]):
            self._tell([event["object"]])

    def _tell(self, bodies: list[Body]) -> None:
        for key in {key_of(body) for body in bodies} - {None}:
            assert key is not None
            self._on_change(key)


def key_of(body: Body) -> str | None:
    """The RagIndex object that it serves."""
    labels = body["metadata"].get("labels") or {}
    namespace, name = labels.get(NAMESPACE), labels.get(NAME)
    return f"{namespace}/{name}" if namespace and name else None
