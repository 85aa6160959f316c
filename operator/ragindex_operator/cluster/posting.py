"""Events of RagIndex objects, posted once each. None is worth failing for: a refused one is a line in the log."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Iterable
from datetime import UTC, datetime

from ragindex_core.errors import Unavailable
from ragindex_core.reconcile.events import Happening
from ragindex_operator.cluster.api import Body, KubeApi, Refused, events
from ragindex_operator.cluster.objects import Seen

log = logging.getLogger(__name__)


class Poster:
    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._instance = f"ragindex-operator-{socket.gethostname()}"[:128]

    def post(self, seen: Seen, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            body = self._event(seen, happening)
            try:
                self._api.create(events(body["metadata"]["namespace"]), body)
            except (Refused, Unavailable) as error:
                log.info("an event was not taken", extra={"index": seen.key, "why": str(error)})

    def _event(self, seen: Seen, happening: Happening) -> Body:
        """Named by what it says and of which version of the object, so that one told twice is one."""
        metadata = seen.body["metadata"]
        told = "\0".join((metadata["uid"], metadata["resourceVersion"], happening.reason, happening.note))
        digest = hashlib.sha256(told.encode()).hexdigest()[:16]
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": "ragindex.io/operator",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "type": happening.type,
            "reason": happening.reason.value,
            "note": happening.note,
            "regarding": {
                "apiVersion": seen.body["apiVersion"],
                "kind": seen.body["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
        }
