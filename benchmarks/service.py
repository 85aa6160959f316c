"""The service as a process of its own, as its container runs it, and the model that embeds its queries.

The model is a small server that knows the vector of every question it will be asked: after each was asked once, the
service remembers them all, and what is measured then is the service and not a model.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.corpus import Query, Vectors
from benchmarks.machine import cpu_seconds
from benchmarks.stage import ENDPOINT, INSTALLATION, Stage
from ragindex_core.errors import RagIndexError, Unavailable
from ragindex_local.client import Client

_START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Service:
    """A process that answers."""

    client: Client
    pid: int

    @property
    def url(self) -> str:
        return self.client.url

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)


@contextmanager
def running(stage: Stage, queries: Sequence[Query], **environment: str) -> Iterator[Service]:
    """The service over the stage's database, ready to answer."""
    with _embedding(queries) as base_url:
        port, metrics_port = _free_port(), _free_port()
        told = {
            "RAGINDEX_DATABASE_URL": stage.url,
            "RAGINDEX_INSTALLATION": INSTALLATION,
            "RAGINDEX_HOST": "127.0.0.1",
            "RAGINDEX_PORT": str(port),
            "RAGINDEX_METRICS_HOST": "127.0.0.1",
            "RAGINDEX_METRICS_PORT": str(metrics_port),
            "RAGINDEX_ENDPOINTS": json.dumps({ENDPOINT: {"base_url": base_url}}),
            "RAGINDEX_MODELS_DIR": str(stage.folder / "models"),
        }
        log = stage.folder / "service.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "ragindex_local", "api"],
                env={**os.environ, **told, **environment},
                stdout=errors,
                stderr=errors,
            )
        try:
            service = Service(Client(f"http://127.0.0.1:{port}", timeout_seconds=60), process.pid)
            _await(service.client, process, log)
            yield service
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(client: Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.get("/readyz")
        except RagIndexError as error:
            if process.poll() is not None or time.monotonic() > until:
                words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise Unavailable(f"the service did not start; the end of its log:\n{words}") from error
            time.sleep(0.1)  # a process of its own: there is nothing to wait for but its answer
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _embedding(queries: Sequence[Query]) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"vectors": {query.text: query.vector for query in queries}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="embedding", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vectors: ClassVar[Mapping[str, Vectors]]

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"object": "embedding", "index": i, "embedding": base64.b64encode(self.vectors[text].tobytes()).decode()}
            for i, text in enumerate(texts)
        ]
        answer = json.dumps({"object": "list", "data": data, "usage": {"prompt_tokens": len(texts)}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing: who measures watches the service."""
