"""``ragindex operator``: waits for the Lease, leads until it is lost, and waits again."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable

from ragindex_core.errors import Misconfigured, RagIndexError
from ragindex_operator.cluster.api import KubeApi
from ragindex_operator.cluster.connection import Connection
from ragindex_operator.cluster.health import HealthServer
from ragindex_operator.cluster.leading import Leading
from ragindex_operator.cluster.lease import Leadership, new_identity
from ragindex_operator.cluster.metrics import Metrics
from ragindex_operator.cluster.settings import OperatorEnvironment
from ragindex_operator.cluster.vital_signs import VitalSigns

log = logging.getLogger(__name__)

_AFTER_TROUBLE_SECONDS = 2.0


class Operator:
    """One process of it. ``stop`` may be called from a signal handler.

    Its parts are made by ``connect``, ``leadership`` and ``leading``, so that tests can give it others.
    """

    def __init__(self, environment: OperatorEnvironment, *, once: bool = False) -> None:
        """``once``: to end when every object was looked at and nothing is left to do but to wait."""
        self.environment = environment
        self._once = once
        self._identity = new_identity()
        self._vital_signs = VitalSigns()
        self._metrics = Metrics()
        self._stopping = threading.Event()
        self._over = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self._over.set()

    def run(self) -> None:
        api = self.connect(self._metrics.requested)
        health = HealthServer(self._vital_signs, self._metrics, self.environment.host, self.environment.port)
        health.start()
        try:
            while not self._stopping.is_set():
                self._wait_and_lead(api)
        finally:
            health.stop()

    def connect(self, made: Callable[[str], None]) -> KubeApi:
        return connect(self.environment, made)

    def leadership(self, api: KubeApi, identity: str, over: threading.Event) -> Leadership:
        return Leadership(api, self.environment.release_namespace, self.environment.lease, over.set, identity=identity)

    def leading(
        self,
        api: KubeApi,
        leadership: Leadership,
        vital_signs: VitalSigns,
        metrics: Metrics,
        over: threading.Event,
    ) -> Leading:
        return Leading(self.environment, api, leadership, vital_signs, metrics, over)

    def _wait_and_lead(self, api: KubeApi) -> None:
        over = self._over = threading.Event()
        if self._stopping.is_set():  # a stop between the loop's look and the new event
            return
        leadership = self.leadership(api, self._identity, over)
        if not leadership.acquire(self._stopping):
            return
        self._metrics.leading(True)
        try:
            self.leading(api, leadership, self._vital_signs, self._metrics, over).run(once=self._once)
            if self._once:
                self.stop()
        except Misconfigured:
            raise
        except RagIndexError as error:
            log.warning("will lead again", extra={"why": str(error)})
            self._stopping.wait(_AFTER_TROUBLE_SECONDS)
        finally:
            self._metrics.leading(False)
            leadership.release()


def connect(environment: OperatorEnvironment, made: Callable[[str], None] = lambda _verb: None) -> KubeApi:
    return KubeApi(Connection.found(environment.kubeconfig), made)


def run(environment: OperatorEnvironment, *, once: bool = False) -> None:
    logging.getLogger("kopf").setLevel(logging.WARNING)  # it tells of every event, with all its settings
    operator = Operator(environment, once=once)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: operator.stop())
    operator.run()
