"""The Kubernetes API as the operator uses it: paths, plain dictionaries, and one exception for each kind of refusal."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NoReturn, TypeAlias
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from ragindex_core.errors import RagIndexError
from ragindex_operator.cluster.connection import WATCH_SECONDS, Answer, ApiUnavailable, Connection

__all__ = [
    "AlreadyExists",
    "ApiUnavailable",
    "Body",
    "Conflict",
    "Expired",
    "Forbidden",
    "KubeApi",
    "NotThere",
    "Refused",
    "Watch",
    "config_maps",
    "cron_jobs",
    "events",
    "jobs",
    "leases",
    "rag_indexes",
]

#: An object of Kubernetes as it is on the wire.
Body: TypeAlias = dict[str, Any]

FIELD_MANAGER = "ragindex-operator"
_PAGE = "500"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_OPERATIONS = "application/json-patch+json"


class Refused(RagIndexError):
    """The API server will not do it; ``reason`` is its own word for why."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NotThere(Refused):
    """No object of that name, or no such kind."""


class Conflict(Refused):
    """The object is another one, or another version of it, than the request was made for."""


class AlreadyExists(Refused):
    """An object of that name is there."""


class Forbidden(Refused):
    """We may not, or the namespace is being deleted."""


class Expired(Refused):
    """The version to go on from is too old: list again."""


class KubeApi:
    """Thread-safe. Nothing is tried twice, but once more with new credentials where the API server did not know us."""

    def __init__(self, connection: Connection, made: Callable[[str], None] = lambda _verb: None) -> None:
        """``made`` is told the verb of every request."""
        self._connection = connection
        self._made = made
        self._counting = threading.Lock()
        self._requests: Counter[str] = Counter()

    @property
    def connection(self) -> Connection:
        return self._connection

    @property
    def requests_made(self) -> Mapping[str, int]:
        """By verb, since the start."""
        with self._counting:
            return dict(self._requests)

    def get(self, path: str) -> Body:
        return self._ask("get", "GET", path)

    def list(self, path: str, label_selector: str = "") -> tuple[list[Body], str]:
        """All objects and the version to watch from. An ``Expired`` half-way through: list again."""
        items: list[Body] = []
        query = {"limit": _PAGE, **_selected(label_selector)}
        while True:
            page = self._ask("list", "GET", path, query)
            kind, version = page["kind"].removesuffix("List"), page["apiVersion"]
            # The items of a list do not say what they are.
            items += ({"apiVersion": version, "kind": kind, **item} for item in page.get("items") or ())
            about = page["metadata"]
            if not about.get("continue"):
                return items, about["resourceVersion"]
            query["continue"] = about["continue"]

    def create(self, path: str, body: Body) -> Body:
        return self._ask("create", "POST", path, {"fieldManager": FIELD_MANAGER}, body)

    def apply(self, path: str, body: Body) -> Body:
        """Server-side: the fields given are ours from now on, whoever set them before; those we gave up go."""
        return self._ask("apply", "PATCH", path, {"fieldManager": FIELD_MANAGER, "force": "true"}, body, _APPLY)

    def replace(self, path: str, body: Body) -> Body:
        """``Conflict`` where the object is no longer of the version that the body says."""
        return self._ask("update", "PUT", path, {"fieldManager": FIELD_MANAGER}, body)

    def patch(self, path: str, operations: Sequence[Body]) -> Body:
        """JSON patch; ``Conflict`` where one of its tests did not hold."""
        return self._ask("patch", "PATCH", path, {"fieldManager": FIELD_MANAGER}, list(operations), _OPERATIONS)

    def delete(self, path: str, uid: str | None = None, propagation: str = "Background") -> None:
        """With a ``uid``, only that very object: ``Conflict`` when another of its name has come."""
        options: Body = {"propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        self._ask("delete", "DELETE", path, body=options)

    def watch(self, path: str, resource_version: str, label_selector: str = "") -> Watch:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
            **_selected(label_selector),
        }
        self._count("watch")
        response = self._connection.open(path, query)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            self._connection.renew()
            response = self._connection.open(path, query)
        if response.status != HTTPStatus.OK:
            with response:
                _refuse(Answer(response.status, response.headers, response.data), path)
        return Watch(response)

    def _ask(
        self,
        verb: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Body:
        self._count(verb)
        answer = self._connection.request(method, path, query or {}, body, content_type)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._connection.renew()
            answer = self._connection.request(method, path, query or {}, body, content_type)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            _refuse(answer, path)
        found: Body = json.loads(answer.body)
        return found

    def _count(self, verb: str) -> None:
        with self._counting:
            self._requests[verb] += 1
        self._made(verb)


class Watch:
    """Events (``type`` and ``object``) until the API server has had enough, or ``stop`` is called from any thread.

    Bookmarks are events too. An ``ERROR`` raises what it says; a silence of more than 40 s, ``ApiUnavailable``.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Body]:
        with self._response:
            for line in self._lines():
                event: Body = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    _refuse(Answer(int(status.get("code") or 500), {}, json.dumps(status).encode()), "the watch")
                yield event

    def stop(self) -> None:
        self._stopped.set()
        with suppress(ValueError, RuntimeError, OSError):  # it has ended already
            self._response.shutdown()

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        try:
            for chunk in self._response.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from filter(None, lines)
        except (HTTPError, OSError, ValueError) as error:
            if not self._stopped.is_set():
                raise ApiUnavailable(f"the watch broke off: {error}") from error


def _refuse(answer: Answer, path: str) -> NoReturn:
    status = _status(answer.body)
    message = f"{path}: {status.get('message') or HTTPStatus(answer.status).phrase}"
    reason = str(status.get("reason", ""))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise ApiUnavailable(f"the API server does not know us: {message}")
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ApiUnavailable(message, _retry_after(answer, status))
    if answer.status == HTTPStatus.CONFLICT and reason == "AlreadyExists":
        raise AlreadyExists(message, reason)
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and not status.get("details"):
        # A body that breaks a rule has details; a JSON patch that does not fit the object as it is has none.
        raise Conflict(message, reason)
    raise _REFUSALS.get(answer.status, Refused)(message, reason)


_REFUSALS: dict[int, type[Refused]] = {
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotThere,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Expired,
}


def _status(body: bytes) -> Body:
    """What the API server says about it; something between us and it may answer without."""
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def _retry_after(answer: Answer, status: Body) -> float | None:
    value = answer.headers.get("Retry-After") or (status.get("details") or {}).get("retryAfterSeconds")
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _selected(label_selector: str) -> dict[str, str]:
    return {"labelSelector": label_selector} if label_selector else {}


def _path(prefix: str, namespace: str | None, kind: str, name: str | None, subresource: str | None = None) -> str:
    """Names are checked by the API server, but must not lead elsewhere before they come there."""
    parts = [prefix]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(kind)
    parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
    return "/".join(parts)


def jobs(namespace: str, name: str | None = None) -> str:
    return _path("/apis/batch/v1", namespace, "jobs", name)


def cron_jobs(namespace: str, name: str | None = None) -> str:
    return _path("/apis/batch/v1", namespace, "cronjobs", name)


def rag_indexes(namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
    return _path("/apis/ragindex.io/v1alpha1", namespace, "ragindexes", name, subresource)


def config_maps(namespace: str, name: str | None = None) -> str:
    return _path("/api/v1", namespace, "configmaps", name)


def leases(namespace: str, name: str | None = None) -> str:
    return _path("/apis/coordination.k8s.io/v1", namespace, "leases", name)


def events(namespace: str, name: str | None = None) -> str:
    return _path("/apis/events.k8s.io/v1", namespace, "events", name)
