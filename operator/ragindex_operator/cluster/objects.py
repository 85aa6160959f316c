"""RagIndex objects at the API server: read whole, held by our finalizer, told their status."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ragindex_core.errors import FieldProblem, InvalidSpec
from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.object.status import RagIndexStatus
from ragindex_operator.cluster.api import Body, KubeApi, NotThere, rag_indexes

FINALIZER = "ragindex.io/cleanup"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as the API server has it. ``wanted`` is None when its spec cannot be read, for ``problems``."""

    body: Body
    wanted: RagIndex | None
    problems: tuple[FieldProblem, ...] = ()

    @property
    def key(self) -> str:
        return key_of(self.body)

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def generation(self) -> int:
        return int(self.body["metadata"].get("generation", 1))

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.body["metadata"]

    @property
    def held(self) -> bool:
        return FINALIZER in self.body["metadata"].get("finalizers", ())

    @property
    def status(self) -> RagIndexStatus | None:
        return _status(self.body)


def key_of(body: Body) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"


class Objects:
    """Changes are made to the very object that was seen: another of its name, or another version, is a Conflict."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    def get(self, key: str) -> Seen | None:
        try:
            return _seen(self._api.get(_path(key)))
        except NotThere:
            return None

    def list(self, namespaces: tuple[str, ...]) -> list[Body]:
        """Of these namespaces; of all when none is named."""
        found: list[Body] = []
        for namespace in namespaces or (None,):
            items, _ = self._api.list(rag_indexes(namespace))
            found += items
        return found

    def hold(self, seen: Seen) -> Seen:
        """With our finalizer: from now on it cannot go without us."""
        metadata = seen.body["metadata"]
        finalizers = [*metadata.get("finalizers", ()), FINALIZER]
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "add", "path": "/metadata/finalizers", "value": finalizers},
        ]
        return _seen(self._api.patch(_path(seen.key), operations))

    def release(self, seen: Seen) -> None:
        """Whatever else was changed of it meanwhile does not matter; that it is gone is as good."""
        current = self.get(seen.key)
        if current is None or current.uid != seen.uid or not current.held:
            return
        position = current.body["metadata"]["finalizers"].index(FINALIZER)
        path = f"/metadata/finalizers/{position}"
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": seen.uid},
            {"op": "test", "path": path, "value": FINALIZER},
            {"op": "remove", "path": path},
        ]
        with suppress(NotThere):
            self._api.patch(_path(seen.key), operations)

    def tell(self, seen: Seen, status: RagIndexStatus) -> Seen:
        """As it is then: a definition older than this release drops what it does not know."""
        namespace, _, name = seen.key.partition("/")
        body = {**seen.body, "status": status.to_wire()}
        return _seen(self._api.replace(rag_indexes(namespace, name, "status"), body))


def _path(key: str) -> str:
    namespace, _, name = key.partition("/")
    return rag_indexes(namespace, name)


def _seen(body: Body) -> Seen:
    document: dict[str, Any] = {key: value for key, value in body.items() if key != "status"}
    try:
        wanted = parse(document, key_of(body))
    except InvalidSpec as error:
        return Seen(body, None, tuple(error.problems))
    return Seen(body, wanted.model_copy(update={"status": _status(body)}))


def _status(body: Body) -> RagIndexStatus | None:
    """None for one that another release of RagIndex wrote in words unknown to this one: it is written anew."""
    try:
        return RagIndexStatus.model_validate(body["status"]) if body.get("status") else None
    except ValidationError:
        return None
