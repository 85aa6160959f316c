"""The application on a socket, and the way down: no new requests, time for those under way, then the end."""

from __future__ import annotations

import asyncio
import errno
import gc
import resource
import socket
import threading
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from ragindex_api.connection import GuardedProtocol
from ragindex_api.drain import Drain
from ragindex_api.settings import ApiSettings
from ragindex_core.errors import Misconfigured

_KEEP_ALIVE_SECONDS = 75  # longer than a load balancer's, so that it is never we who close a connection it uses


class ApiServer(uvicorn.Server):
    """Bound from the beginning, so that a port that is taken is known before anything is started. Raises Misconfigured.

    Stops on SIGTERM and SIGINT when it runs in the main thread, or by ``stop`` from any; a second time at once."""

    def __init__(self, app: FastAPI, settings: ApiSettings, host: str, port: int) -> None:
        protocol: Any = partial(GuardedProtocol, look_seconds=settings.client_seconds)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                host=host,
                port=port,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=5,
            )
        )
        self._socket = _bound(host, port)
        app.state.gate.listens_on(self._socket.getsockname()[0])
        self.ready = threading.Event()  # set once requests are answered
        self._drain: Drain = app.state.drain
        self._drain_seconds = settings.drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is bound: another than asked for when that was 0."""
        return int(self._socket.getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        _allow_many_connections()
        await super().startup(sockets or [self._socket])
        _collect_less()
        self.ready.set()

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        self.stop()

    def stop(self) -> None:
        if self._loop is None:
            self.should_exit = True
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        self._draining = asyncio.create_task(self._drained(), name="drain")

    async def _drained(self) -> None:
        await self._drain.finish(self._drain_seconds)
        self.should_exit = True


def _allow_many_connections() -> None:
    """As many open files as the system lets us have: many systems begin with 1024, and each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _collect_less() -> None:
    """What is there now lives as long as the process: looking through it for garbage again and again takes a tenth of
    the time of a search. The rest is looked through when there is more of it than a few requests make."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio sends at once (TCP_NODELAY) only on sockets that say that they are TCP. Without it the body
    # of every response waits for the client to acknowledge its head: 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise Misconfigured(f"port {port} on {host} is taken; choose another one") from error
        raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound
