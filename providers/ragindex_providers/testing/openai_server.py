"""An OpenAI-compatible service without a model, on the loopback address, that fails as it is told to.

    with FakeOpenAIServer() as server:
        server.faults.append(Fault(status=429, retry_after="1"))
        …                                   # server.base_url, server.requests

For people: ``python -m ragindex_providers.testing.openai_server --port 8090`` runs one until it is interrupted.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np

from ragindex_core.ports import InputType
from ragindex_core.testing.embedder import HashEmbedder

#: Texts with this word are refused, and with them the whole request they come in, as services do.
REFUSED_WORD = "REFUSED"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request; several at once may."""

    status: int = 200
    retry_after: str | None = None
    code: str = "fault"
    message: str = ""
    delay_seconds: float = 0.0
    never_answers: bool = False
    half_body: bool = False
    raw_body: bytes | None = None  # instead of the answer, with status 200
    dimensions: int | None = None
    not_a_number: bool = False
    missing_vectors: int = 0
    floats: bool = False  # ignores encoding_format
    refuses_parameter: str | None = None  # 400 while the request has it
    break_after: int | None = None  # chat: the connection ends after so many words
    error_after: int | None = None  # chat: an error object after so many words


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(slots=True)
class _Script:
    """What all requests share."""

    embedder: HashEmbedder
    words: Sequence[str]
    max_batch: int
    dimensions: int
    requests: list[Request] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    trips_over: str | None = None
    closing: threading.Event = field(default_factory=threading.Event)
    broken_pipes: int = 0


class FakeOpenAIServer:
    """``faults`` are taken one a request; ``always`` holds for every request once they are used up."""

    def __init__(
        self,
        *,
        port: int = 0,
        dimensions: int = 64,
        words: Sequence[str] = ("Thirty ", "days ", "[1]."),
        max_batch: int = 2048,
    ) -> None:
        self._script = _Script(HashEmbedder(dimensions), words, max_batch, dimensions)
        handler = type("Handler", (_Handler,), {"script": self._script})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="fake-openai", daemon=True
        )

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def requests(self) -> list[Request]:
        return self._script.requests

    @property
    def faults(self) -> deque[Fault]:
        return self._script.faults

    @property
    def broken_pipes(self) -> int:
        """Answers whose reader went away."""
        return self._script.broken_pipes

    def always(self, fault: Fault | None) -> None:
        self._script.always = fault

    def trips_over(self, word: str) -> None:
        """From now on, a request with this word in one of its texts is an internal error."""
        self._script.trips_over = word

    def wait(self, seconds: float) -> bool:
        """For that long, or until the server ends."""
        return self._script.closing.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self._script.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ClassVar[_Script]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.script.requests.append(Request(self.path, body, headers))
        fault = self.script.faults.popleft() if self.script.faults else self.script.always or Fault()
        try:
            self._answer(body, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.script.broken_pipes += 1
            self.close_connection = True

    def _answer(self, body: dict[str, Any], fault: Fault) -> None:
        if fault.never_answers:
            self.script.closing.wait()
            self.close_connection = True
            return
        if fault.delay_seconds:
            self.script.closing.wait(fault.delay_seconds)
        if fault.status != 200:
            self._refuse(fault.status, fault.code, fault.message, fault.retry_after)
        elif fault.refuses_parameter in body:
            self._refuse(400, "unsupported_parameter", f"{fault.refuses_parameter}: try {fault.message}")
        elif self.path.endswith("/embeddings"):
            self._embed(body, fault)
        elif self.path.endswith("/chat/completions"):
            self._chat(body, fault)
        else:
            self._refuse(404, "not_found", self.path)

    def _embed(self, body: dict[str, Any], fault: Fault) -> None:
        texts = body["input"]
        if len(texts) > self.script.max_batch:
            self._refuse(413, "too_many_inputs", "")
        elif self.script.trips_over and any(self.script.trips_over in text for text in texts):
            self._refuse(500, "internal_error", "")
        elif any(REFUSED_WORD in text for text in texts):
            self._refuse(400, "content_filter", "one of the inputs")
        else:
            vectors = self.script.embedder.embed(texts, InputType.PASSAGE).vectors
            wanted = fault.dimensions or body.get("dimensions") or self.script.dimensions
            vectors = np.resize(vectors, (len(texts), wanted)) * np.float32(3)  # not of length 1, as some services
            if fault.not_a_number:
                vectors[0, 0] = np.nan
            floats = fault.floats or body.get("encoding_format") != "base64"
            items = [
                {"object": "embedding", "index": i, "embedding": row.tolist() if floats else _base64(row)}
                for i, row in enumerate(vectors)
            ]
            tokens = sum(len(text.split()) for text in texts)
            items = items[fault.missing_vectors :][::-1]  # the order is the index's to tell
            answer = {"data": items, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
            content = fault.raw_body if fault.raw_body is not None else json.dumps(answer).encode()
            self._send(200, content, {}, half=fault.half_body)

    def _chat(self, body: dict[str, Any], fault: Fault) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if fault.raw_body is not None:
            self.wfile.write(fault.raw_body)
            return
        for part in _chat_parts(self.script.words, fault, usage="stream_options" in body):
            self.wfile.write(b"data: " + part + b"\n\n")
            self.wfile.flush()
            if self.script.closing.is_set():
                return

    def _refuse(self, status: int, code: str, message: str, retry_after: str | None = None) -> None:
        content = json.dumps({"error": {"type": "fake_error", "code": code, "message": message}}).encode()
        self._send(status, content, {"Retry-After": retry_after} if retry_after is not None else {})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], *, half: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = self.close_connection or half

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Requests are kept, not written to the terminal."""


def _base64(row: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _chat_parts(words: Sequence[str], fault: Fault, *, usage: bool) -> Iterator[bytes]:
    """The events of one answer, as JSON."""
    yield json.dumps({"choices": [], "prompt_filter_results": []}).encode()
    yield _part({"role": "assistant", "content": ""})
    for position, word in enumerate(words):
        if position == fault.break_after:
            return
        if position == fault.error_after:
            yield json.dumps({"error": {"message": "overloaded", "type": "server_error", "code": fault.code}}).encode()
            return
        yield _part({"content": word})
    yield _part({}, "stop")
    if usage:
        counts = {"prompt_tokens": 11, "completion_tokens": len(words), "total_tokens": 11 + len(words)}
        yield json.dumps({"choices": [], "usage": counts}).encode()
    yield b"[DONE]"


def _part(delta: Mapping[str, str], finish_reason: str | None = None) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible service without a model.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--dimensions", type=int, default=64)
    arguments = parser.parse_args()
    with FakeOpenAIServer(port=arguments.port, dimensions=arguments.dimensions) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
