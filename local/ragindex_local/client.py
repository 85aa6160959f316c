"""The service as the command line calls it: JSON in, JSON or events out, problems as errors."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from ragindex_core.errors import InvalidInput, RagIndexError

_ANSWER_SECONDS = 300.0
_BLOCK = 256 * 1024


class Unreached(RagIndexError):
    """Nothing answers at the address, or it stopped in the middle."""


class Refused(RagIndexError):
    """The service answered with a problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(_sentence(status, problem))


def _sentence(status: int, problem: Mapping[str, Any]) -> str:
    """One sentence out of a problem document: its detail, and the fields at fault that it does not name."""
    detail = str(problem.get("detail") or problem.get("title") or f"the service answered {status}")
    fields = [f"{each.get('field')}: {each.get('message')}" for each in problem.get("errors", ())]
    missing = [each for each in fields if each not in detail]
    return f"{detail} ({'; '.join(missing)})" if missing else detail


@dataclass(frozen=True, slots=True)
class IndexName:
    """``name``, of the namespace ``default``, or ``namespace/name``."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> IndexName:
        namespace, slash, name = text.rpartition("/")
        if not name or (slash and not namespace) or "/" in namespace:
            raise InvalidInput.field("", f'an index is a name or namespace/name, not "{text}"')
        return cls(namespace or "default", name)

    @property
    def path(self) -> str:
        return f"/v1/indexes/{quote(self.namespace, safe='')}/{quote(self.name, safe='')}"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: dict[str, Any]


@dataclass(slots=True)
class Client:
    """Every call has a connection of its own, so that one client serves several threads."""

    url: str
    timeout_seconds: float = _ANSWER_SECONDS

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        return self._json("GET", f"{path}?{urlencode(given)}" if given else path, None, {})

    def text(self, path: str) -> str:
        with self._exchange("GET", path, None, {}) as response:
            return response.read().decode("utf-8")

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        return self._json("POST", path, data, {"Content-Type": "application/json"} if data else {})

    def delete(self, path: str) -> dict[str, Any]:
        return self._json("DELETE", path, None, {})

    def send(self, path: str, body: Iterator[bytes], size: int, **query: Any) -> dict[str, Any]:
        """Bytes as they are, streamed."""
        given = {name: value for name, value in query.items() if value is not None}
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self._json("POST", f"{path}?{urlencode(given)}", body, headers)

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Event]:
        """Server-sent events until ``done`` or ``error``; the latter is raised."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        with self._exchange("POST", path, json.dumps(body).encode(), headers) as response:
            for event in read_events(self._lines(response)):
                if event.name == "error":
                    raise Refused(int(event.data.get("status", 500)), event.data)
                yield event
                if event.name == "done":
                    return
        raise Unreached(f"{self.url} stopped in the middle of an answer")

    def _json(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        with self._exchange(method, path, body, headers) as response:
            data = response.read()
        try:
            decoded = json.loads(data)
        except ValueError as error:
            raise Unreached(f"{self.url} is not a RagIndex service: it did not answer in JSON") from error
        return dict(decoded)

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        try:
            # A service that refuses before it has read all of the body says why in its answer.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._base + path, body=body, headers=dict(headers))
            response = connection.getresponse()
            if response.status >= 400:
                raise Refused(response.status, _problem(response.read()))
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unreached(f"nothing answers at {self.url} ({_cause(error)})") from error
        finally:
            connection.close()

    def _lines(self, response: IO[bytes]) -> Iterator[str]:
        while line := response.readline():
            yield line.decode("utf-8")

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput.field("--url", f"must be like http://127.0.0.1:8080, not {self.url!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname, parts.port, timeout=self.timeout_seconds, blocksize=_BLOCK)

    @property
    def _base(self) -> str:
        return urlsplit(self.url).path.rstrip("/")


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Events out of the lines of ``text/event-stream``; comments keep the connection alive and say nothing."""
    name, data = "message", ""
    for raw in lines:
        line = raw.rstrip("\r\n")
        if not line:
            if data:
                yield Event(name, json.loads(data))
            name, data = "message", ""
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].removeprefix(" ")


def _problem(data: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(data)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _cause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()
