"""How a document travels from the parser's process to the worker's: frames of JSON over a pipe.

Not pickle: a parser that a hostile file has taken over must not be able to run code in the worker.
"""

from __future__ import annotations

import json
import struct
from dataclasses import astuple
from typing import Any

from ragindex_core.document import Block, BlockKind, DocumentReason, Location, ParsedDocument, Span
from ragindex_core.errors import DocumentRejected

LENGTH = struct.Struct(">Q")


def frame(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload


def request(path: str, name: str) -> bytes:
    return json.dumps([path, name]).encode("ascii")  # escapes carry file names that are no valid Unicode


def read_request(payload: bytes) -> tuple[str, str]:
    path, name = json.loads(payload)
    return path, name


def accepted(document: ParsedDocument) -> bytes:
    """Blocks are rows of plain values; the rest is small."""
    blocks = [
        [
            block.kind.value,
            block.span.start,
            block.span.end,
            block.level,
            list(astuple(block.location)),
            None if block.header is None else [block.header.start, block.header.end],
        ]
        for block in document.blocks
    ]
    fields = {
        "text": document.text,
        "blocks": blocks,
        "title": document.title,
        "language": document.language,
        "media_type": document.media_type,
        "metadata": document.metadata,
        "parser": document.parser,
    }
    return json.dumps(fields, ensure_ascii=False).encode("utf-8")


def rejected(rejection: DocumentRejected) -> bytes:
    return json.dumps({"reason": rejection.reason.value, "message": str(rejection)}).encode("utf-8")


def outcome(payload: bytes) -> ParsedDocument:
    """The document, or the rejection raised. Raises ValueError for what no sound parser sends."""
    try:
        fields = json.loads(payload)
        if "reason" in fields:
            rejection = DocumentRejected(DocumentReason(fields["reason"]), str(fields["message"]))
        else:
            return _document(fields)
    except (KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not an answer of the parser") from error
    raise rejection


def _document(fields: Any) -> ParsedDocument:
    text = fields["text"]
    if not isinstance(text, str):
        raise TypeError
    return ParsedDocument(
        text=text,
        blocks=_blocks(fields["blocks"], len(text)),
        title=fields["title"],
        language=fields["language"],
        media_type=fields["media_type"],
        metadata=fields["metadata"],
        parser=fields["parser"],
    )


def _blocks(rows: Any, length: int) -> tuple[Block, ...]:
    """Spans that left the text or overlapped would spoil every quote, so they are looked at again here."""
    blocks: list[Block] = []
    end = 0
    locations: dict[tuple[object, ...], Location] = {}
    for kind, start, stop, level, where, header in rows:
        if not end <= start <= stop <= length:
            raise ValueError("blocks out of order")
        end = stop
        place = tuple(where)
        if place not in locations:
            locations[place] = Location(*place)
        head = None if header is None else Span(*header)
        blocks.append(Block(BlockKind(kind), Span(start, stop), level, locations[place], head))
    return tuple(blocks)
