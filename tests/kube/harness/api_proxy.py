"""Stands between clients and the API server and does what networks do: cuts, loses, falls silent.

It ends TLS, speaks HTTP/1.1 and passes everything through until it is told otherwise. Who sends a bearer token is that
account upstream; who sends none is the admin.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.kube.harness.control_plane import ControlPlane, client_of, free_ports

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class ApiProxy:
    """``watch_events_dropped`` counts what clients never saw."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.watch_events_dropped = 0
        self._control_plane = control_plane
        self._drop_percent = 0
        self._silent = False
        self._change = threading.Condition()
        self._random = random.Random(0)
        self._closed = False
        self._clients: set[socket.socket] = set()
        self._servers: set[socket.socket] = set()
        self._upstream = ssl.create_default_context(cafile=control_plane.certificates.authority.certificate)
        self._upstream_as_admin = ssl.create_default_context(cafile=control_plane.certificates.authority.certificate)
        self._upstream_as_admin.load_cert_chain(control_plane.admin.certificate, control_plane.admin.key)
        (port,) = free_ports(1)
        self._server = _Server(port, self)
        self.server = f"https://127.0.0.1:{port}"
        self.kubeconfig = control_plane.write_kubeconfig("admin", client_of(control_plane.admin), self.server)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def kubeconfig_for(self, service_account: str, namespace: str, seconds: int = 3600) -> Path:
        return self._control_plane.kubeconfig_for(service_account, namespace, seconds, self.server)

    def cut(self) -> None:
        """End all connections now; new ones are taken."""
        with self._change:
            for each in [*self._clients, *self._servers]:  # no client may see a watch end in good order
                _shut_down(each)

    def drop_watch_events(self, percent: int) -> None:
        """Of those that tell of a change; bookmarks pass, so that a client never learns what it missed."""
        self._drop_percent = percent

    def silence_watches(self) -> None:
        """Watches, also new ones, stay open and nothing comes, not even their end; until ``let_watches_speak``."""
        with self._change:
            self._silent = True

    def let_watches_speak(self) -> None:
        with self._change:
            self._silent = False
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._server.shutdown()
        self._thread.join()
        self.cut()
        self._server.server_close()

    @contextlib.contextmanager
    def _known(self, connection: socket.socket, among: set[socket.socket]) -> Iterator[None]:
        """What ``cut`` and ``close`` reach."""
        with self._change:
            among.add(connection)
            if self._closed:
                _shut_down(connection)
        try:
            yield
        finally:
            with self._change:
                among.discard(connection)

    def _wait_while_silent(self) -> None:
        with self._change:
            self._change.wait_for(lambda: self._closed or not self._silent)

    def _loses(self, line: bytes) -> bool:
        with self._change:
            lost = b'"type":"BOOKMARK"' not in line[:40] and self._random.randrange(100) < self._drop_percent
            self.watch_events_dropped += lost
        return lost

    def _connect(self, as_admin: bool) -> http.client.HTTPSConnection:
        context = self._upstream_as_admin if as_admin else self._upstream
        connection = http.client.HTTPSConnection("127.0.0.1", self._control_plane.port, context=context)
        connection.connect()
        return connection


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, proxy: ApiProxy) -> None:
        self.proxy = proxy
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving = proxy._control_plane.serving
        self._context.load_cert_chain(serving.certificate, serving.key)
        super().__init__(("127.0.0.1", port), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """On the connection's own thread: a client that is slow to shake hands keeps no other waiting."""
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(request, server_side=True) as secured,
            self.proxy._known(secured, self.proxy._clients),
        ):
            _Handler(secured, client_address, self)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Tests read what came of it."""

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            upstream = proxy._connect(as_admin="Authorization" not in self.headers)
        except OSError:
            self.close_connection = True
            return
        assert upstream.sock is not None
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            with proxy._known(upstream.sock, proxy._servers):
                upstream.request(self.command, self.path, body or None, headers)
                self._answer(upstream.getresponse())
        except (OSError, http.client.HTTPException):
            self.close_connection = True
        finally:
            upstream.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def _answer(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        watching = parse_qs(urlsplit(self.path).query).get("watch", ["false"])[0] in ("true", "1")
        if watching and response.status == http.client.OK:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._relay_events(response)
        else:
            body = response.read()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _relay_events(self, response: http.client.HTTPResponse) -> None:
        proxy = self.server.proxy
        for line in _lines(response):
            proxy._wait_while_silent()
            if not proxy._loses(line):
                self._chunk(line)
        proxy._wait_while_silent()
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _shut_down(connection: socket.socket) -> None:
    """Of the connection itself, without a word of TLS, as its own thread may be in the middle of one."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Raises when the server goes before it has ended its answer; ``readline`` would keep that to itself."""
    rest = b""
    while data := response.read1(65536):
        *lines, rest = (rest + data).split(b"\n")
        yield from (line + b"\n" for line in lines)
