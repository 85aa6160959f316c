"""The HTTP session that kopf speaks through: it renews its credentials by itself, and sees what comes in on a watch."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf

from ragindex_operator.cluster.connection import Connection

#: Who is told again and again that nobody knows it asks no faster than that.
_BETWEEN_LOGINS = 5.0
#: For the loop to hear of sockets that were shut down, and to close them.
_TO_CLOSE = 0.05


@dataclass(slots=True)
class _Stream:
    content: aiohttp.StreamReader
    socket: socket.socket | None
    counted: int = 0
    ended: bool = False

    def moved(self) -> bool:
        """Whether bytes came, or the end as the API server sends it, since the last time. A bookmark is bytes, but a
        watch from the newest version on has none while nothing changes."""
        total, ended = self.content.total_bytes, self.content.is_eof()
        moved = total > self.counted or (ended and not self.ended)
        self.counted, self.ended = total, ended
        return moved

    def give_up(self) -> None:
        """Closed in due form it would wait for the farewell of a peer that may be gone, longer than the loop lasts."""
        if self.socket is not None and not self.content.is_eof():
            with suppress(OSError):  # it is closed already
                self.socket.shutdown(socket.SHUT_RDWR)


class KopfSession:
    """For one run of kopf, in its event loop. ``watches``: their names by their paths; ``opened`` is told the name of
    each that begins."""

    def __init__(self, connection: Connection, watches: Mapping[str, str], opened: Callable[[str], None]) -> None:
        self._connection = connection
        self._watches = watches
        self._opened = opened
        self._streams: dict[str, _Stream] = {}
        self._moved: set[str] = set()
        self._sessions: list[aiohttp.ClientSession] = []
        self._logged_in_at: float | None = None

    async def login(self, **_: Any) -> kopf.AiohttpSession:
        """A handler of kopf: called at its start, and whenever the API server did not know us."""
        now = asyncio.get_running_loop().time()
        if self._logged_in_at is not None:
            await asyncio.sleep(max(self._logged_in_at + _BETWEEN_LOGINS - now, 0.0))
            await asyncio.to_thread(self._connection.renew)
        self._logged_in_at = asyncio.get_running_loop().time()
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._connection.ssl_context()),
            proxy=self._connection.proxy,
            middlewares=[self._pass],
        )
        self._sessions.append(session)
        return kopf.AiohttpSession(server=self._connection.host, aiohttp_session=session)

    @property
    def watched(self) -> set[str]:
        """The watches that were begun."""
        return set(self._streams)

    def heard(self) -> set[str]:
        """The watches on which something came since the last call."""
        for name in self._streams:
            self._look_at(name)
        moved, self._moved = self._moved, set()
        return moved

    async def close(self) -> None:
        """kopf closes its session only when it ends in peace."""
        for session in self._sessions:
            await session.close()
        for stream in self._streams.values():
            stream.give_up()
        await asyncio.sleep(_TO_CLOSE)

    async def _pass(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """With the token as of now, not as of the login."""
        authorization = self._connection.authorization()
        if authorization is not None:
            request.headers["Authorization"] = authorization
        response = await send(request)
        if response.ok and request.url.query.get("watch") == "true":
            self._begin(self._name_of(request.url.path), response)
        return response

    def _name_of(self, path: str) -> str:
        return next(name for of, name in self._watches.items() if path.endswith(of))

    def _begin(self, name: str, response: aiohttp.ClientResponse) -> None:
        if name in self._streams:
            self._look_at(name)
            self._streams[name].give_up()
        transport = response.connection.transport if response.connection is not None else None
        self._streams[name] = _Stream(
            response.content, transport.get_extra_info("socket") if transport is not None else None
        )
        self._opened(name)

    def _look_at(self, name: str) -> None:
        if self._streams[name].moved():
            self._moved.add(name)
