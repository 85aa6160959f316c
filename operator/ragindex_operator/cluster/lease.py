"""One operator at a time by a Lease: who holds it works, who does not waits. What the database guards by the epoch
holds even where clocks and networks do not; this keeps two operators from working against each other day by day."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ragindex_core.errors import Unavailable
from ragindex_operator.cluster.api import AlreadyExists, Body, Conflict, KubeApi, NotThere, Refused, leases

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. Who holds it ends so long (``margin``) before another may begin, for what was sent just before to
    arrive."""

    duration: float = 30.0
    renew_every: float = 10.0
    margin: float = 5.0
    look_every: float = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What another holder's Lease looked like, and when by our clock it began to look like that."""

    version: str
    since: float


class Leadership:
    """Holds the Lease from ``acquire`` to ``release``, or until it is lost; then ``lost`` is called once.

    Times of other machines are never compared with ours: a holder is gone when its Lease stood still for as long as it
    says, by our own clock. A holder of our own ``identity`` was ourselves, in a term that is over.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        lost: Callable[[], None],
        *,
        identity: str | None = None,
        times: Times | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._lost = lost
        self._clock = clock
        self._uniform = uniform
        self._times = times or Times()
        self.identity = identity or new_identity()
        self._seen: _Seen | None = None
        self._lease: Body | None = None  # as we wrote it last; None when it is not ours
        self._renewed_at = 0.0
        self._ending = threading.Event()
        self._renewing: threading.Thread | None = None

    @property
    def held(self) -> bool:
        """By our own clock, without asking; false also when this process was stopped for a while."""
        return self._lease is not None and self._clock() - self._renewed_at < self._times.duration - self._times.margin

    def still_held(self) -> bool:
        """Asks; an API server that does not answer is an ``ApiUnavailable``, not a no."""
        if not self.held:
            return False
        spec = self._api.get(self._path).get("spec") or {}
        return spec.get("holderIdentity") == self.identity and self.held

    def acquire(self, stop: threading.Event) -> bool:
        """Waits until the Lease is ours; False when it was to stop before."""
        while not stop.is_set():
            try:
                if self._try():
                    log.info("leading", extra={"identity": self.identity})
                    self._renewing = threading.Thread(target=self._keep, name="lease", daemon=True)
                    self._renewing.start()
                    return True
            except (Unavailable, Refused) as error:
                log.warning("cannot lead yet", extra={"why": str(error)})
            stop.wait(self._times.look_every * (0.5 + self._uniform()))
        return False

    def release(self) -> None:
        """Let the next one begin at once."""
        self._ending.set()
        if self._renewing is not None:
            self._renewing.join()
        lease, self._lease = self._lease, None
        if lease is None:
            return
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            self._api.replace(self._path, {**lease, "spec": spec})
        except (Unavailable, Refused) as error:
            log.warning("the lease runs out by itself", extra={"why": str(error)})

    @property
    def _path(self) -> str:
        return leases(self._namespace, self._name)

    def _try(self) -> bool:
        """One attempt to take it."""
        asked_at = self._clock()
        try:
            lease = self._api.get(self._path)
        except NotThere:
            return self._create(asked_at)
        spec = lease.get("spec") or {}
        version = lease["metadata"]["resourceVersion"]
        if spec.get("holderIdentity") not in (None, "", self.identity):
            if self._seen is None or self._seen.version != version:
                self._seen = _Seen(version, asked_at)
            if asked_at - self._seen.since < float(spec.get("leaseDurationSeconds") or self._times.duration):
                return False
        transitions = int(spec.get("leaseTransitions") or 0) + 1
        try:
            self._took(self._api.replace(self._path, {**lease, "spec": self._spec(transitions)}), asked_at)
        except (Conflict, NotThere):
            return False  # another was faster, or came back
        return True

    def _create(self, asked_at: float) -> bool:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(0),
        }
        try:
            self._took(self._api.create(leases(self._namespace), lease), asked_at)
        except AlreadyExists:
            return False
        return True

    def _spec(self, transitions: int) -> Body:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._times.duration),
            "acquireTime": _now(),
            "renewTime": _now(),
            "leaseTransitions": transitions,
        }

    def _took(self, lease: Body, asked_at: float) -> None:
        """``asked_at``: before the request went out, so that we never believe it longer than others do."""
        self._renewed_at = asked_at
        self._lease = lease

    def _keep(self) -> None:
        pause = self._times.renew_every
        while not self._ending.wait(pause):
            # Who was away for too long asks no more: another may be at work by now.
            if not self.held or not self._renew():
                self._lease = None
                log.error("the lease is lost", extra={"identity": self.identity})
                self._lost()
                return
            pause = max(self._times.renew_every - (self._clock() - self._renewed_at), self._times.look_every)

    def _renew(self) -> bool:
        """Whether it may still be ours: an API server that does not answer decides nothing."""
        lease = self._lease
        assert lease is not None
        asked_at = self._clock()
        try:
            self._took(self._api.replace(self._path, _renewed(lease)), asked_at)
        except Conflict:
            return self._renew_edited(asked_at)
        except NotThere:
            return False
        except (Unavailable, Refused) as error:
            log.warning("the lease was not renewed", extra={"why": str(error)})
        return True

    def _renew_edited(self, asked_at: float) -> bool:
        """Another wrote to it: a person's label, or our own write whose answer was lost, takes nothing from us."""
        try:
            lease = self._api.get(self._path)
            if (lease.get("spec") or {}).get("holderIdentity") != self.identity:
                return False
            self._took(self._api.replace(self._path, _renewed(lease)), asked_at)
        except (Conflict, NotThere):
            return False
        except (Unavailable, Refused) as error:
            log.warning("the lease was not renewed", extra={"why": str(error)})
        return True


def new_identity() -> str:
    """Of one process."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


def _renewed(lease: Body) -> Body:
    return {**lease, "spec": {**lease["spec"], "renewTime": _now()}}


def _now() -> str:
    """Told to people, compared by nobody."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
