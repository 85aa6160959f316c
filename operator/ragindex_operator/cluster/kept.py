"""Objects as last told or written. A writer sees its own write at once, and no late news of a watch undoes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from ragindex_operator.cluster.api import Body

#: Of so many the end is remembered: the answer to a write may come later than the news that its object is gone.
_GONE_REMEMBERED = 1000


class Kept:
    """Objects of one kind, found by a label. Versions are compared within one object only."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._lock = threading.Lock()
        self._objects: dict[str, Body] = {}
        self._by_label: dict[str, set[str]] = {}
        self._writes = 0
        self._written: dict[str, int] = {}  # number of our write, of what no list has shown yet
        self._deleted: dict[str, int] = {}  # the same of what we deleted and nobody told of yet
        self._gone: deque[str] = deque(maxlen=_GONE_REMEMBERED)

    def of(self, label: str) -> list[Body]:
        with self._lock:
            return _oldest_first(self._objects[uid] for uid in self._by_label.get(label, ()))

    def every(self) -> list[Body]:
        with self._lock:
            return _oldest_first(self._objects.values())

    def wrote(self, body: Body) -> None:
        """Our own write, as the API server answered to it."""
        with self._lock:
            if _uid(body) in self._gone:
                return
            self._writes += 1
            self._written[_uid(body)] = self._writes
            self._keep_newer(body)

    def deleted(self, body: Body) -> None:
        """Our own delete."""
        with self._lock:
            self._writes += 1
            self._deleted[_uid(body)] = self._writes
            self._drop(_uid(body))

    def begin_list(self) -> int:
        """To be given to ``listed``: what we write from now on the list may not show yet."""
        with self._lock:
            return self._writes

    def listed(self, items: Iterable[Body], begun: int) -> list[Body]:
        """Everything there was; gives what differs from before."""
        with self._lock:
            there = {_uid(body): body for body in items}
            self._written = {uid: number for uid, number in self._written.items() if number > begun}
            self._deleted = {uid: number for uid, number in self._deleted.items() if number > begun}
            gone = [uid for uid in self._objects if uid not in there and uid not in self._written]
            changed = [self._drop(uid) for uid in gone]
            changed += (body for uid, body in there.items() if uid not in self._deleted and self._keep_newer(body))
            return [body for body in changed if body is not None]

    def heard(self, kind: str, body: Body) -> bool:
        """An event of the watch; whether it brought anything new."""
        uid = _uid(body)
        with self._lock:
            if kind == "DELETED":
                self._gone.append(uid)
                self._written.pop(uid, None)
                told_of_ours = self._deleted.pop(uid, None) is not None
                return self._drop(uid) is not None or told_of_ours
            if uid in self._deleted:
                if "deletionTimestamp" not in body["metadata"]:
                    return False  # from before our delete
                del self._deleted[uid]  # a finalizer still holds it
            return self._keep_newer(body)

    def _keep_newer(self, body: Body) -> bool:
        uid = _uid(body)
        known = self._objects.get(uid)
        if known is not None and _version(body) <= _version(known):
            return False
        self._drop(uid)
        self._objects[uid] = _trimmed(body)
        self._by_label.setdefault(self._labelled(body), set()).add(uid)
        return True

    def _drop(self, uid: str) -> Body | None:
        body = self._objects.pop(uid, None)
        if body is not None:
            label = self._labelled(body)
            self._by_label[label].discard(uid)
            if not self._by_label[label]:
                del self._by_label[label]
        return body

    def _labelled(self, body: Body) -> str:
        return str((body["metadata"].get("labels") or {}).get(self._label, ""))


def _trimmed(body: Body) -> Body:
    """Without the bookkeeping of who set which field and without what pods are made of, which nobody asks for: most of
    it, and there are hundreds."""
    kept = {**body, "metadata": _without(body["metadata"], "managedFields")}
    return {**kept, "spec": _without(body["spec"], "template", "jobTemplate")} if "spec" in body else kept


def _without(part: Body, *names: str) -> Body:
    return {name: value for name, value in part.items() if name not in names}


def _oldest_first(bodies: Iterable[Body]) -> list[Body]:
    def age(body: Body) -> tuple[Any, ...]:
        return body["metadata"]["creationTimestamp"], body["metadata"]["name"]

    return sorted(bodies, key=age)


def _uid(body: Body) -> str:
    return str(body["metadata"]["uid"])


def _version(body: Body) -> int:
    return int(body["metadata"]["resourceVersion"])
