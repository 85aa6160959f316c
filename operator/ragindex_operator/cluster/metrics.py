"""What Prometheus reads of the operator: a registry of its own."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ragindex_core.object.status import RagIndexStatus
from ragindex_operator.cluster.work_queue import Look, WorkQueue

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_WRITES = frozenset({"create", "apply", "update", "patch", "delete"})


class Metrics:
    """Label values come from closed sets: verbs, names of errors, types of conditions; never a name of an object."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        self._reconcile_seconds = Histogram(
            "ragindex_operator_reconcile_seconds", "Time of one look at one object.", buckets=_SECONDS, registry=r
        )
        self._errors = Counter("ragindex_operator_reconcile_errors", "Looks that failed.", ["reason"], registry=r)
        self._requests = Counter("ragindex_operator_api_requests", "Requests to the API server.", ["verb"], registry=r)
        self._writes = Counter("ragindex_operator_api_writes", "Requests that change something.", registry=r)
        self._leading = Gauge("ragindex_operator_leading", "1 while this operator holds the Lease.", registry=r)
        self._lag = Gauge("ragindex_operator_loop_lag_seconds", "How late the event loop was.", ["loop"], registry=r)
        self.leads = False
        self._objects = _Objects()
        self._queue = _Queue()
        r.register(self._objects)
        r.register(self._queue)

    def looked(self, look: Look) -> None:
        self._reconcile_seconds.observe(look.seconds)
        if look.error is not None:
            self._errors.labels(type(look.error).__name__).inc()

    def requested(self, verb: str) -> None:
        self._requests.labels(verb).inc()
        if verb in _WRITES:
            self._writes.inc()

    def leading(self, leads: bool) -> None:
        self.leads = leads
        self._leading.set(leads)

    def told(self, key: str, status: RagIndexStatus | None) -> None:
        """What was found at one object; None when it is gone."""
        self._objects.told(key, status)

    def follow(self, queue: WorkQueue | None) -> None:
        """The queue to tell of from now on."""
        self._queue.followed = queue

    def lagged(self, loop: str, seconds: float) -> None:
        self._lag.labels(loop).set(seconds)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class _Queue(Collector):
    """Read when it is asked for."""

    def __init__(self) -> None:
        self.followed: WorkQueue | None = None

    def collect(self) -> Iterator[Metric]:
        queue = self.followed
        depth, wait = (0, 0.0) if queue is None else (queue.depth, queue.oldest_wait.total_seconds())
        yield GaugeMetricFamily("ragindex_operator_queue_depth", "Objects that wait to be looked at.", depth)
        yield GaugeMetricFamily("ragindex_operator_queue_oldest_seconds", "How long the first has waited.", wait)


class _Objects(Collector):
    """How many objects say what of themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._conditions: dict[str, frozenset[tuple[str, str]]] = {}

    def told(self, key: str, status: RagIndexStatus | None) -> None:
        with self._lock:
            if status is None:
                self._conditions.pop(key, None)
            else:
                self._conditions[key] = frozenset((str(c.type), str(c.status)) for c in status.conditions)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            tally = Tally(each for conditions in self._conditions.values() for each in conditions)
        family = GaugeMetricFamily("ragindex_operator_objects", "RagIndex objects.", labels=["type", "status"])
        for (type_, status), number in sorted(tally.items()):
            family.add_metric([type_, status], number)
        yield family
