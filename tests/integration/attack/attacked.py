"""A service under attack: the process, raw connections to it, and what it costs to hold them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg

#: Looks at its connections often and waits for nobody, so that a test need not either.
SETTINGS: dict[str, Any] = {"client_seconds": 0.4, "request_seconds": 1.0, "upload_idle_seconds": 1.0}
SEARCH = "/v1/indexes/hr/handbook/search"
ANSWER = "/v1/indexes/hr/handbook/answer"
DOCUMENTS = "/v1/indexes/hr/handbook/documents"


@dataclass
class Attacked:
    process: subprocess.Popen[str]
    port: int
    database_url: str

    def connect(self, sent: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        made.sendall(sent)
        return made

    @contextmanager
    def connected(self, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
        with ExitStack() as stack:
            yield [stack.enter_context(self.connect(sent)) for _ in range(count)]

    def answer(self, sent: bytes) -> int:
        """The status of the answer to these bytes; 0 when the connection was closed without one."""
        with self.connect() as connection:
            try:
                connection.sendall(sent)
                head = connection.recv(4096)
            except ConnectionError:
                return 0
        return int(head.split(b" ", 2)[1]) if head else 0

    def search(self) -> float:
        """A search as anybody makes it, answered as ever; its milliseconds."""
        began = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=15)
        connection.request("POST", SEARCH, '{"query": "annual leave"}', {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            found = json.load(answer)
        connection.close()
        assert "thirty days" in found["results"][0]["text"], found
        return (time.perf_counter() - began) * 1000

    def resident(self) -> float:
        """MiB of memory that the process holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("the service is gone")

    def held(self) -> dict[str, int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        told: dict[str, int] = json.loads(self.process.stdout.readline())
        return told

    def busy_sessions(self) -> int:
        """The service's sessions that are in the middle of something."""
        statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"  # noqa: E501
        with psycopg.connect(self.database_url) as connection:
            return int(connection.execute(statement).fetchall()[0][0])

    @contextmanager
    def measured(self, what: str, most_mib: float) -> Iterator[None]:
        """Others are served before, amid and after; memory grows by no more than so much."""
        before, usual = self.resident(), min(self.search() for _ in range(3))
        yield
        amid = min(self.search() for _ in range(3))
        grown = self.resident() - before
        print(f"{what}: {before:.0f} MiB and {grown:+.0f}; a search took {usual:.0f} ms, then {amid:.0f}")  # noqa: T201
        assert grown < most_mib, f"{what}: {grown:.0f} MiB more"


def started(database_url: str) -> Attacked:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.attack.one_service", database_url, json.dumps(SETTINGS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    return Attacked(process, int(process.stdout.readline()), database_url)


def eventually(what: str, holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """The service offers no event to wait for."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not holds():
        assert time.monotonic() < end, what
        pause.wait(0.05)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has hung up; what it said before is read."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            continue
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True
