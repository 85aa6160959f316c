"""Waiting over REST until an index has nothing left to do, with what is going on shown meanwhile."""

from __future__ import annotations

import time
from typing import Any

from ragindex_core.errors import NotReady, RagIndexError
from ragindex_core.object.reasons import ConditionType, Reason, RequestName
from ragindex_local.cli.output import progress
from ragindex_local.cli.status import condition
from ragindex_local.client import Client, IndexName

_LOOK_SECONDS = 0.5  # the service has no stream of status
#: While one of these is true, nothing goes on until a person changes something.
_HALTS = (ConditionType.STALLED, ConditionType.PAUSED, ConditionType.SUSPENDED)
#: What Progressing says when nothing is left to do.
_DONE = (Reason.UP_TO_DATE, Reason.ROLLED_BACK)


class Halted(RagIndexError):
    """Waiting is of no use: the index goes on only when a person has done something."""


def until_up_to_date(
    client: Client, index: IndexName, sync_value: str | None = None, timeout_seconds: float | None = None
) -> dict[str, Any]:
    """The object once it is up to date, and after the sync of this value if one is named. Raises Halted when it will
    not be by itself."""
    until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    with progress(str(index), 1, " documents") as bar:
        while True:
            item = client.get(index.path)
            if _is_done(item, sync_value):
                return item
            counts = item.get("status", {}).get("documents", {})
            building = item.get("status", {}).get("pendingRevision") or {}
            total = building.get("documentsTotal") or counts.get("total") or 0
            if total:
                bar.of(building.get("documents", counts.get("indexed", 0) + counts.get("failed", 0)), total)
            if until is not None and time.monotonic() > until:
                progressing = condition(item, ConditionType.PROGRESSING)
                raise NotReady(f"{index} is not up to date after {timeout_seconds:g} s: {progressing['reason']}")
            time.sleep(_LOOK_SECONDS)


def _is_done(item: dict[str, Any], sync_value: str | None) -> bool:
    progressing = condition(item, ConditionType.PROGRESSING)
    if progressing.get("observedGeneration") != item["metadata"].get("generation"):
        return False
    for halt in _HALTS:
        found = condition(item, halt)
        if found["status"] == "True":
            raise Halted(_sentence(found))
    if progressing["status"] == "True":
        return False
    handled = item.get("status", {}).get("handled", {}).get(RequestName.SYNC.value, {})
    if sync_value is not None and handled.get("value") != sync_value:
        return False
    if progressing["reason"] not in _DONE:
        raise Halted(_sentence(progressing))
    return True


def _sentence(found: dict[str, Any]) -> str:
    return f"{found['reason']}: {found.get('message') or Reason.named(found['reason']).summary}"
