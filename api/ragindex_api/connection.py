"""One connection of a client that may mean ill: uvicorn's own, with the bounds it leaves out.

Its fast parser takes a head of any length, waits for the end of one for ever, and keeps what a client does not read.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_BYTES = 32 * 1024
_LOOKS_AT_A_HEAD = 2
_LOOKS_AT_A_READER = 6


class GuardedProtocol(HttpToolsProtocol):
    """Looked at every few seconds rather than timed request by request, which costs a request nothing. It is closed
    when the same head is not complete at two looks, or when nothing of an answer was read between six."""

    def __init__(self, *, look_seconds: float, **named: Any) -> None:
        super().__init__(**named)
        self._look_seconds = look_seconds
        self._in_head = True  # of the first request, which may never come
        self._received = 0  # bytes of a head so far
        self._looks = 0  # at the same head
        self._unread = 0  # bytes of answers that waited for their reader when last looked at
        self._looks_at_reader = 0
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look = self.loop.call_later(self._look_seconds, self._look_at)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._received, self._looks = True, 0, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _HEAD_BYTES:
            raise ValueError("the head of the request is too long")  # the parser's caller answers 400
        super().on_headers_complete()

    def _look_at(self) -> None:
        self._looks = self._looks + 1 if self._in_head else 0
        unread = self.transport.get_write_buffer_size()
        self._looks_at_reader = self._looks_at_reader + 1 if 0 < self._unread <= unread else 0
        self._unread = unread
        if self._looks >= _LOOKS_AT_A_HEAD or self._looks_at_reader >= _LOOKS_AT_A_READER:
            self.transport.abort()
        else:
            self._look = self.loop.call_later(self._look_seconds, self._look_at)
