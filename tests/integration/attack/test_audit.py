"""``make audit`` tells of what its index knows, and never takes silence for good news."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

AUDIT = Path(__file__).parents[3] / "make" / "audit"
KNOWN: dict[str, list[dict[str, Any]]] = {
    "/pypi/sound/1.0/json": [],
    "/pypi/weak/2.1/json": [{"id": "XY-1", "summary": "lets anybody in"}, {"id": "XY-2", "withdrawn": "2026-01-01"}],
}


@pytest.fixture
def index() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = KNOWN.get(self.path)
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"vulnerabilities": found}).encode())

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("pinned", "code", "says"),
    [
        ("sound==1.0 ; python_version < '4' \\\n    --hash=sha256:00\n", 0, "1 packages of run.lock, 0 known"),
        ("sound==1.0\nweak[extra]==2.1 \\\n    --hash=sha256:00\n", 1, "weak 2.1 XY-1: lets anybody in"),
        ("unknown==3\n", 3, "not looked up"),
    ],
)
def test_what_the_index_says_is_told(tmp_path: Path, index: str, pinned: str, code: int, says: str) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.lock").write_text(pinned)
    environment = {**os.environ, "PIP_INDEX_URL": index, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, AUDIT], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr
    assert "XY-2" not in done.stdout
