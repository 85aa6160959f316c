"""What runs while this operator holds the Lease: the watches, the queue, and a look at everything now and then."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import ExitStack
from datetime import timedelta

from ragindex_core.errors import Misconfigured, RagIndexError, Unavailable
from ragindex_core.object.status import RagIndexStatus
from ragindex_core.reconcile.situation import Limits
from ragindex_db import indexes
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.signals import LISTENING, Listener
from ragindex_operator import allow
from ragindex_operator.builds import Builds
from ragindex_operator.capabilities import Capabilities
from ragindex_operator.cluster.api import Conflict, Forbidden, KubeApi, NotThere, config_maps
from ragindex_operator.cluster.controller import ObjectController
from ragindex_operator.cluster.jobs import JobStore
from ragindex_operator.cluster.kopf_source import ObjectEvents
from ragindex_operator.cluster.lease import Leadership
from ragindex_operator.cluster.manifests import Release
from ragindex_operator.cluster.metrics import Metrics
from ragindex_operator.cluster.objects import Objects, key_of
from ragindex_operator.cluster.originals import ConfigMaps
from ragindex_operator.cluster.posting import Poster
from ragindex_operator.cluster.settings import OperatorEnvironment
from ragindex_operator.cluster.sweep import Sweep
from ragindex_operator.cluster.takeover import Takeover, application_name
from ragindex_operator.cluster.vital_signs import VitalSigns
from ragindex_operator.cluster.work_queue import WorkQueue
from ragindex_operator.cluster.workforce import KubeWorkforce
from ragindex_operator.fence import Fence, Fenced
from ragindex_operator.reconcile import Reconciler

log = logging.getLogger(__name__)

#: Workers see volumes, and the operator copies ConfigMaps for them.
CAPABILITIES = Capabilities(sources=frozenset({"directory", "uploads", "configMap"}), databases=frozenset({"default"}))
LIMITS = Limits(keeps_schedules=False)
#: Signals come by the hundred while documents are indexed.
_SETTLE = timedelta(seconds=1)
#: What an object itself tells is found out by listing, should an event be lost; the rest by looking at each.
_LIST_SECONDS = 60.0
_LIST_AGAIN_SECONDS = 10.0
_SWEEP_SECONDS = 600.0
_RESYNC = timedelta(minutes=5)
_FIRST_LIST_SECONDS = 60.0
_TELLS_OF_WORK = ("index", "request", "queue")
#: An object changes while we look at it, and an API server that has just started knows of nobody's rights.
_PASSING = (Unavailable, Conflict, Forbidden)


class Leading:
    """Made anew each time the Lease is ours. ``over`` is set when it is no longer, or when it is time to stop."""

    def __init__(
        self,
        environment: OperatorEnvironment,
        api: KubeApi,
        leadership: Leadership,
        vital_signs: VitalSigns,
        metrics: Metrics,
        over: threading.Event,
    ) -> None:
        self._environment = environment
        self._leadership = leadership
        self._over = over
        self._metrics = metrics
        self._keys: dict[int, str] = {}  # of objects, by the number of their row
        self._versions: dict[str, str] = {}  # of objects, as they were listed last
        self._unswept = threading.Event()  # the database was away: what went meanwhile could not be noted
        url = environment.database_url.get_secret_value()
        name = application_name(environment.installation, leadership.identity)
        self._database = Database(DatabaseSettings(url, environment.database_pool, name))
        takeover = Takeover(self._database, environment.installation, leadership.identity, leadership.still_held)
        self._take_over = takeover.fence
        self._queue = WorkQueue(
            self._look, workers=environment.concurrency, resync=_RESYNC, passing=_PASSING, looked=metrics.looked
        )
        self._store = JobStore(
            api, environment.release_namespace, environment.installation, self._job_changed, vital_signs
        )
        self._workforce = KubeWorkforce(
            api,
            self._store,
            release_of(api, environment),
            most_pods=environment.max_active_pods,
            may_write=self._may_write,
        )
        self._builds = Builds(lambda: None)  # their ends are signalled through the database
        self._objects = Objects(api)
        self._controller = ObjectController(
            self._objects,
            self._reconciler(ConfigMaps(api)),
            self._workforce,
            Poster(api),
            self._take_over,
            self._may_write,
            environment.directories,
            told=self._told,
        )
        self._sweep = Sweep(self._database, self._objects, self._workforce, self._take_over, environment.namespaces)
        self._events = ObjectEvents(
            self._queue.add, self._queue.add, vital_signs, environment.namespaces, api.connection
        )
        self._listener = Listener(url, self._signalled)

    def _reconciler(self, originals: ConfigMaps) -> Reconciler:
        environment = self._environment
        return Reconciler(
            self._database,
            Fence(environment.installation, epoch=0),  # until the database first answers
            self._workforce,
            self._builds,
            limits=LIMITS,
            capabilities=CAPABILITIES,
            originals=originals,
            rules=lambda wanted: allow.refusals(environment.allow, wanted, environment.directories),
        )

    def run(self, *, once: bool = False) -> None:
        """Until ``over``; ``once``, until every object was looked at. Jobs are known before the first object is looked
        at: what we do not see we would make."""
        with ExitStack() as stack:
            stack.callback(self._database.close)
            stack.callback(self._builds.close)
            self._started(stack, self._store)
            if not self._store.synced.wait(_FIRST_LIST_SECONDS):
                raise NotSynced("Jobs and CronJobs cannot be listed")
            if once:
                self._look_once()
                return
            self._queue.start()
            stack.callback(self._queue.stop)
            self._metrics.follow(self._queue)
            stack.callback(self._metrics.follow, None)
            self._started(stack, self._events)
            self._started(stack, self._listener)
            self._resync()

    @staticmethod
    def _started(stack: ExitStack, part: JobStore | ObjectEvents | Listener) -> None:
        part.start()
        stack.callback(part.stop)

    def _look_once(self) -> None:
        for body in self._objects.list(self._environment.namespaces):
            try:
                self._look(key_of(body))
            except Fenced:
                raise
            except RagIndexError as error:
                log.warning("cannot reconcile", extra={"index": key_of(body), "why": str(error)})

    # What makes us look

    def _look(self, key: str) -> timedelta | None:
        try:
            return self._controller.look(key)
        except Fenced as error:
            log.warning("another operator has taken over", extra={"why": str(error)})
            self._over.set()
            raise

    def _told(self, key: str, status: RagIndexStatus | None) -> None:
        self._metrics.told(key, status)
        if status is None:
            self._queue.forget(key)

    def _job_changed(self, key: str) -> None:
        """Pods that became free may be somebody else's turn."""
        self._queue.add_after(key, _SETTLE)
        for waiting in self._workforce.waiting():
            self._queue.add_after(waiting, _SETTLE)

    def _signalled(self, topic: str) -> None:
        if topic == LISTENING:
            self._unswept.set()
            for key in list(self._versions):
                self._queue.add_after(key, _SETTLE * random.uniform(1, 10))  # noqa: S311  spreads load
            return
        kind, _, number = topic.partition(":")
        named = self._key_of(int(number)) if kind in _TELLS_OF_WORK and number.isdigit() else None
        if named is not None:
            self._queue.add_after(named, _SETTLE)

    def _key_of(self, index_id: int) -> str | None:
        """Asked one by one: of hundreds of new objects, each would list all."""
        if index_id not in self._keys:
            try:
                name = self._database.run(indexes.full_name, self._environment.installation, index_id)
            except RagIndexError:
                return None  # who cannot ask the database now looks at everything when it is back
            self._keys[index_id] = name or ""  # another installation's: not to be looked for each time
        return self._keys[index_id] or None

    def _resync(self) -> None:
        swept_at = float("-inf")
        while not self._over.is_set():
            sweep = self._unswept.is_set() or time.monotonic() - swept_at > _SWEEP_SECONDS
            self._unswept.clear()
            pause = _LIST_SECONDS
            try:
                self._list(sweep=sweep)
                swept_at = time.monotonic() if sweep else swept_at
            except Fenced:
                self._over.set()
            except RagIndexError as error:
                log.warning("cannot look at everything", extra={"why": str(error)})
                pause = _LIST_AGAIN_SECONDS
                if sweep:
                    self._unswept.set()
            self._over.wait(pause * random.uniform(0.75, 1.25))  # noqa: S311

    def _list(self, *, sweep: bool) -> None:
        """Look at what changed since it was last looked at; with ``sweep``, after what is nobody's any more."""
        rows = self._rows() if sweep else None
        known = self._workforce.known() if sweep else set()
        found = self._objects.list(self._environment.namespaces)
        versions = {key_of(body): str(body["metadata"]["resourceVersion"]) for body in found}
        for key in versions.keys() | self._versions.keys():
            if self._versions.get(key) != versions.get(key):
                self._queue.add(key)
        self._versions = versions
        if sweep:
            self._sweep.clear_away(known, found)
            if rows is not None:
                self._sweep.retain_orphans(rows, found)

    def _rows(self) -> list[indexes.IndexRow] | None:
        try:
            return self._sweep.rows()
        except Fenced:
            raise
        except RagIndexError:
            return None  # without the database there is nothing to compare with

    def _may_write(self) -> None:
        if not self._leadership.held:
            raise Fenced("the Lease is not ours any more")


class NotSynced(RagIndexError):
    """What is there could not be listed, so nothing may be made."""


def release_of(api: KubeApi, environment: OperatorEnvironment) -> Release:
    namespace, name = environment.release_namespace, environment.release_config_map
    try:
        body = api.get(config_maps(namespace, name))
    except NotThere as error:
        raise Misconfigured(
            f"there is no ConfigMap {namespace}/{name} to own Jobs: name the release's with RAGINDEX_RELEASE_CONFIG_MAP"
        ) from error
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": body["metadata"]["uid"]}
    return Release(environment.installation, namespace, owner, environment.worker)
