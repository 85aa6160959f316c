"""Server-sent events out of a stream of bytes.

Lines end at a line feed and nowhere else: the line splitters of HTTP libraries also break at the Unicode separators
that a model may well write inside its JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

_MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventTooLong(ValueError):
    """An event without end."""


class EventReader:
    """Give it bytes as they come; it gives back the data of each event they complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, part: bytes) -> Iterator[bytes]:
        self._rest += part
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            yield from self._line(bytes(line).removesuffix(b"\r"))
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise EventTooLong

    def end(self) -> Iterator[bytes]:
        """What the end of the stream completes, for services that leave out the last empty line."""
        yield from self._line(bytes(self._rest).removesuffix(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            self._size += len(line)
            if self._size > _MAX_EVENT_BYTES:
                raise EventTooLong
        elif not line and self._data:
            yield b"\n".join(self._data)
            self._data.clear()
            self._size = 0
