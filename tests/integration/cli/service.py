"""A service of a few lines that answers as the real one does, and keeps what it was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(slots=True)
class Reply:
    body: Any
    status: int = 200
    media_type: str = "application/json"

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(slots=True)
class FakeService:
    """``replies`` by method and path; what is not there is the problem 404."""

    replies: dict[str, Reply | Callable[[bytes], Reply]] = field(default_factory=dict)
    received: list[tuple[str, bytes]] = field(default_factory=list)
    url: str = ""

    def reply(self, request: str, body: bytes) -> Reply:
        self.received.append((request, body))
        found = self.replies.get(request.partition("?")[0])
        if found is None:
            return Reply({"detail": "there is nothing of that name", "status": 404}, 404, "application/problem+json")
        return found if isinstance(found, Reply) else found(body)


@contextmanager
def running() -> Iterator[FakeService]:
    service = FakeService()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = service.reply(f"{self.command} {self.path}", body)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.media_type)
            self.end_headers()
            self.wfile.write(reply.encoded())

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815  the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
