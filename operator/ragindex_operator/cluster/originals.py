"""ConfigMaps as sources: read by name when an object is looked at, never listed."""

from __future__ import annotations

import base64
import hashlib

from ragindex_core.object.resource import RagIndex
from ragindex_operator.cluster.api import Forbidden, KubeApi, NotThere, config_maps
from ragindex_operator.outside import Original


class ConfigMaps:
    def __init__(self, api: KubeApi) -> None:
        self._api = api

    def read(self, wanted: RagIndex, name: str) -> Original | None:
        """One that may not be read is, to the object, none."""
        try:
            body = self._api.get(config_maps(wanted.metadata.namespace, name))
        except (NotThere, Forbidden):
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
