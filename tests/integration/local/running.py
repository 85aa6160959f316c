"""``ragindex up`` as a process of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

RAGINDEX = [sys.executable, "-m", "ragindex_local"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """Ours without what would send the process elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAGINDEX_")}


def eventually(what: str, check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What ``check`` gives once that is true; the processes looked at offer no event to wait for."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        pause.wait(0.1)


@dataclass
class Running:
    """A folder with one object and its documents, and the process that serves them."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None
    said: list[str] = field(default_factory=list)
    object: dict[str, Any] = field(
        default_factory=lambda: {
            "apiVersion": "ragindex.io/v1alpha1",
            "kind": "RagIndex",
            "metadata": {"name": "notes"},
            "spec": {
                "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
                "chunking": {"maxTokens": 120, "overlapTokens": 10},
                "sources": [{"name": "files", "directory": {"path": "files"}}, {"name": "uploads", "uploads": {}}],
            },
        }
    )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    def write_object(self, text: str | None = None) -> None:
        """In one step, as editors do: no reader may see half a file."""
        self.objects.mkdir(exist_ok=True)
        draft = self.folder / "draft.yaml"
        draft.write_text(yaml.safe_dump(self.object) if text is None else text)
        draft.rename(self.objects / "notes.yaml")

    def write(self, name: str, text: str) -> None:
        path = self.objects / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, **extra: str) -> None:
        self.process = subprocess.Popen(
            [*RAGINDEX, "up", "-f", str(self.objects), "--data", str(self.data), "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(), **extra},
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.said.extend(lines)

    def stop(self, how: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(timeout=40)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*RAGINDEX, *arguments, "--data", str(self.data)]
        return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120, check=False)

    def get(self, path: str) -> Any:
        return self._call(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}"))

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/indexes/default/notes/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        return self._call(request)

    def text(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    @staticmethod
    def _call(request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def object_now(self) -> Any:
        try:
            return self.get("/v1/indexes/default/notes")
        except (OSError, urllib.error.HTTPError):
            return None

    def reason(self, kind: str) -> str | None:
        found = self.object_now()
        conditions = (found or {}).get("status", {}).get("conditions", [])
        return next((c["reason"] for c in conditions if c["type"] == kind), None)

    def await_up_to_date(self, seconds: float = 90.0) -> None:
        eventually(f"UpToDate; said {self.said}", lambda: self.reason("Progressing") == "UpToDate", seconds)

    def leftovers(self) -> list[str]:
        """Processes that have this data folder in their command line or environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                    state = (entry / "stat").read_text().rpartition(") ")[2][:1]
                except OSError:
                    continue
                if str(self.data).encode() in command and state != "Z":
                    found.append(entry.name)
        return found
