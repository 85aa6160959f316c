"""Around every request: its id, its line in the log, its numbers, and the last net for errors."""

from __future__ import annotations

import logging
import re
import uuid
from time import perf_counter
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragindex_api.drain import Drain
from ragindex_api.gate import PROBES
from ragindex_api.metrics import Metrics
from ragindex_api.problems import Kind, Problem
from ragindex_api.sse import ClientLeft

log = logging.getLogger(__name__)

#: Letters, digits and a few marks: what cannot break a log line or a header, whoever sent it.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
#: No page of somebody else's shows what the service says, guesses at its type, or learns of its addresses.
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
CLIENT_LEFT = 499


class RequestShell:
    def __init__(self, app: ASGIApp, *, metrics: Metrics, drain: Drain) -> None:
        self._app = app
        self._metrics = metrics
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        headers = ((b"x-request-id", request_id.encode()), *_ALWAYS)
        started = perf_counter()
        status = CLIENT_LEFT  # nothing was sent: the client left, or the task was cancelled

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        # Answered also while the process shuts down, and not worth a line in the log each time.
        probe = scope["path"] in PROBES
        self._metrics.in_flight.inc()
        try:
            if self._drain.begun and not probe:
                await _refuse(scope, receive, reply)
            else:
                with self._drain.under_way():
                    await self._app(scope, receive, reply)
        except ClientLeft:
            status = CLIENT_LEFT
        except Exception:
            log.exception("request failed", extra={"request_id": request_id})
            if status == CLIENT_LEFT:
                await Problem(Kind.INTERNAL, Kind.INTERNAL.title).response(Request(scope))(scope, receive, reply)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, request_id, status, perf_counter() - started, quiet=probe)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float, *, quiet: bool) -> None:
        route = _template(scope)
        method = scope["method"] if route != "unknown" else "any"
        self._metrics.request(method, route, status).inc()
        self._metrics.request_took(route).observe(seconds)
        line: dict[str, Any] = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        log.log(logging.DEBUG if quiet else logging.INFO, "request", extra=line)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return uuid.uuid4().hex


def _template(scope: Scope) -> str:
    """The route as it was declared: an address itself would be a label without end."""
    return getattr(scope.get("route"), "path", None) or "unknown"


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(Kind.DRAINING, Kind.DRAINING.title, retry_after_seconds=1, headers={"Connection": "close"})
    await problem.response(Request(scope))(scope, receive, send)
