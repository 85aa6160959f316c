"""What Prometheus reads: a registry of the service's own, on a port of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (*_FAST, 30, 60, 120)


class Metrics:
    """Label values come from closed sets (route templates, stages, outcomes), never from what a caller sent: so what
    was looked up by them can be kept."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        r = self.registry
        self.requests = Counter("ragindex_requests", "Requests answered.", ["method", "route", "status"], registry=r)
        self.request = cache(self.requests.labels)
        self.request_seconds = Histogram(
            "ragindex_request_seconds", "Time to the end of the response.", ["route"], buckets=_SLOW, registry=r
        )
        self.stage_seconds = Histogram(
            "ragindex_stage_seconds", "Time of one stage of a query.", ["stage"], buckets=_FAST, registry=r
        )
        self.request_took = cache(self.request_seconds.labels)
        self._stage = cache(self.stage_seconds.labels)
        self.in_flight = Gauge("ragindex_requests_in_flight", "Requests under way.", registry=r)
        self.waiting = Gauge("ragindex_requests_waiting", "Requests that wait for a slot.", ["kind"], registry=r)
        self.refused = Counter("ragindex_requests_refused", "Requests told to come back.", ["kind"], registry=r)
        self.query_cache = Counter("ragindex_query_cache", "Queries looked up.", ["result"], registry=r)
        self.degraded = Counter("ragindex_degraded", "Searches answered by fewer arms than asked.", registry=r)
        self.answers = Counter("ragindex_answers", "Answers.", ["outcome"], registry=r)
        self.markers_removed = Counter("ragindex_markers_removed", "Citations that a model invented.", registry=r)
        self.tokens = Counter("ragindex_tokens", "Tokens used by queries.", ["stage", "direction"], registry=r)
        self.uploaded_bytes = Counter("ragindex_uploaded_bytes", "Bytes of documents taken in.", registry=r)
        self.runs_lost = Counter("ragindex_runs_lost", "Query runs that could not be recorded.", registry=r)

    @contextmanager
    def stage(self, name: str, timings: dict[str, float]) -> Iterator[None]:
        """Time a stage for the response (milliseconds) and for Prometheus (seconds)."""
        started = perf_counter()
        try:
            yield
        finally:
            self.staged(name, perf_counter() - started, timings)

    def staged(self, name: str, seconds: float, timings: dict[str, float]) -> None:
        timings[name] = round(seconds * 1000, 3)
        self._stage(name).observe(seconds)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class MetricsServer:
    """``/metrics`` in a thread of its own, so that a busy event loop can still be looked at."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._server: WSGIServer
        self._thread: threading.Thread
        self._server, self._thread = start_http_server(port, addr=host, registry=metrics.registry)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
