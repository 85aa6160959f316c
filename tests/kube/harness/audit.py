"""Who wrote what to the API server, by its own audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_WRITING = ["create", "update", "patch", "delete", "deletecollection"]
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "verbs": _WRITING}, {"level": "None"}],
}


@dataclass(frozen=True, slots=True)
class Write:
    user: str
    agent: str
    verb: str
    path: str
    status: int
    at: datetime


class AuditLog:
    def __init__(self, folder: Path) -> None:
        self.policy = folder / "audit-policy.json"
        self.path = folder / "audit.jsonl"
        self.policy.write_text(json.dumps(_POLICY))

    def writes(self, user: str = "", since: datetime | None = None) -> Iterator[Write]:
        """Also those that were refused; ``user`` is part of the name."""
        with self.path.open() as lines:
            for event in map(json.loads, lines):
                write = Write(
                    user=event["user"].get("username", ""),  # who was not known has none
                    agent=event.get("userAgent", ""),
                    verb=event["verb"],
                    path=event["requestURI"],
                    status=event["responseStatus"]["code"],
                    at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
                )
                if user in write.user and (since is None or write.at >= since):
                    yield write
