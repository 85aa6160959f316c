"""A multipart/form-data body read as it comes: small fields are kept, the file is handed on piece by piece.

The framework's own form parser would write the whole file to disk before the first byte is looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ragindex_api.problems import Kind, ProblemError, invalid

_MOST_FIELD_BYTES = 64 * 1024
_MOST_HEADER_BYTES = 8 * 1024
_KNOWN = ("file", "metadata")


@dataclass(frozen=True, slots=True)
class FileBegins:
    filename: str
    media_type: str | None


@dataclass(frozen=True, slots=True)
class FileData:
    data: bytes


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: bytes


Event = FileBegins | FileData | Field


class FormReader:
    """Turns bytes of the body into events. Refuses fields it does not know, and a second file."""

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise ProblemError(Kind.MALFORMED, "multipart/form-data needs a boundary in its content type")
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )
        self._events: list[Event] = []
        self._seen: set[str] = set()
        self._ended = False
        self._part_begin()

    def feed(self, data: bytes) -> list[Event]:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise ProblemError(Kind.MALFORMED, "the body is not well-formed multipart/form-data") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        if not self._ended:
            raise ProblemError(Kind.MALFORMED, "the multipart body ends before its last boundary")
        if "file" not in self._seen:
            raise invalid("file", "is needed")

    def _part_begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_text = b""
        self._name = ""
        self._value = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._bounded_headers()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_text += data[start:end]
        self._bounded_headers()

    def _bounded_headers(self) -> None:
        if len(self._header_name) + len(self._header_text) > _MOST_HEADER_BYTES:
            raise ProblemError(Kind.MALFORMED, "a part's header is too long")

    def _header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_text
        self._header_name = self._header_text = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name not in _KNOWN:
            raise invalid(self._name, f"is not a field of this form; known are {' and '.join(_KNOWN)}")
        if self._name in self._seen:
            raise invalid(self._name, "may be given only once")
        self._seen.add(self._name)
        if self._name == "file":
            filename = options.get(b"filename", b"").decode("utf-8", "replace")
            media_type = self._headers.get(b"content-type", b"").decode("latin-1") or None
            self._events.append(FileBegins(filename, media_type))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._events.append(FileData(data[start:end]))
            return
        self._value += data[start:end]
        if len(self._value) > _MOST_FIELD_BYTES:
            raise invalid(self._name, f"must have at most {_MOST_FIELD_BYTES} bytes")

    def _part_end(self) -> None:
        if self._name != "file":
            self._events.append(Field(self._name, bytes(self._value)))

    def _end(self) -> None:
        self._ended = True


async def events(reader: FormReader, body: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    async for data in body:
        for event in reader.feed(data):
            yield event
    reader.finish()
