"""ConfigMaps as sources: read by name when an object is looked at, never listed."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ragindex_core.object.resource import RagIndex
from ragindex_operator.cluster.api import Forbidden, KubeApi, NotThere, config_maps
from ragindex_operator.outside import Original

_FRESH_SECONDS = 2.0  # one look at an object asks several times
#: An API server that has just started forbids what it will allow as soon as it has read the roles.
_BELIEVED_AFTER_SECONDS = 45.0
_MOST_KEPT = 256


class ConfigMaps:
    def __init__(self, api: KubeApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Original | None]] = OrderedDict()
        self._forbidden_since: dict[str, float] = {}
        self._keeping = threading.Lock()

    def read(self, wanted: RagIndex, name: str) -> Original | None:
        """One that may never be read is, to the object, none."""
        path = config_maps(wanted.metadata.namespace, name)
        with self._keeping:
            read_at, found = self._kept.get(path, (-_FRESH_SECONDS, None))
        if self._clock() - read_at < _FRESH_SECONDS:
            return found
        asked_at, found = self._clock(), self._read(path, name)
        with self._keeping:
            self._kept[path] = (asked_at, found)
            self._kept.move_to_end(path)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _read(self, path: str, name: str) -> Original | None:
        try:
            body = self._api.get(path)
        except Forbidden:
            if self._clock() - self._forbidden_since.setdefault(path, self._clock()) < _BELIEVED_AFTER_SECONDS:
                raise
            return None
        except NotThere:
            body = None
        self._forbidden_since.pop(path, None)
        if body is None:
            return None
        texts = {key: text.encode() for key, text in (body.get("data") or {}).items()}
        binaries = {key: base64.b64decode(data) for key, data in (body.get("binaryData") or {}).items()}
        entries = {**texts, **binaries}
        return Original(_version(name, entries), entries)


def _version(name: str, entries: dict[str, bytes]) -> str:
    """Of the contents: who labels a ConfigMap anew has not changed a document."""
    digest = hashlib.sha256(name.encode())
    for key in sorted(entries):
        digest.update(f"\0{key}\0{len(entries[key])}\0".encode())
        digest.update(entries[key])
    return digest.hexdigest()[:16]
