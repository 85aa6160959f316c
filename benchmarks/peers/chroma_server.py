"""Chroma's own server over a folder that was filled."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import QUIET
from benchmarks.peers.given import CHROMA_NAME, K
from benchmarks.service import Service
from ragindex_core.errors import RagIndexError
from ragindex_local.client import Client

_COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
_START_SECONDS = 60.0


@contextmanager
def serving(python: Path, folder: Path) -> Iterator[tuple[Service, str]]:
    """The server, and the path at which its one collection is asked."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = python.with_name("chroma")
    command = [str(program), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=log, stderr=log)
    client = Client(f"http://127.0.0.1:{port}", timeout_seconds=60)
    try:
        yield Service(client, process.pid), f"{_COLLECTIONS}/{_collection(client, process)}/query"
    finally:
        process.terminate()
        process.wait(30)


def _collection(client: Client, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            collection = client.get(f"{_COLLECTIONS}/{CHROMA_NAME}")
        except RagIndexError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)  # a process of its own: there is nothing to wait for but its answer
        else:
            return str(collection["id"])


def body(vector: list[float]) -> dict[str, Any]:
    return {"query_embeddings": [vector], "n_results": K, "include": ["documents", "metadatas", "distances"]}
