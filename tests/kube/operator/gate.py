"""The way to a database, on a port of the loopback address, that a test shuts and opens: the server itself goes on for
everybody else."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading

import sqlalchemy as sa
from tests.kube.harness.control_plane import free_ports


class Gate:
    """Open from its making. ``url`` leads through it."""

    def __init__(self, url: str) -> None:
        there = sa.make_url(url)
        assert there.host is not None
        self._target = (there.host, there.port or 5432)
        (self._port,) = free_ports(1)
        self.url = there.set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)
        self._passing: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self.open()

    def open(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), self._pass)
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()

    def shut(self) -> None:
        """Nobody comes in, and who was in is thrown out."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        with self._lock:
            for each in self._passing:
                _shut_down(each)

    def _pass(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as server:
            with self._lock:
                self._passing |= {client, server}
            back = threading.Thread(target=_relay, args=(server, client))
            back.start()
            _relay(client, server)
            back.join()
            with self._lock:
                self._passing -= {client, server}


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    block_on_close = False
    daemon_threads = True

    def __init__(self, address: tuple[str, int], let_pass: object) -> None:
        self.let_pass = let_pass
        super().__init__(address, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.server.let_pass(self.request)  # type: ignore[attr-defined]


def _relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _shut_down(target)


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
