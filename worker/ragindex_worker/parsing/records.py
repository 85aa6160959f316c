"""JSON and JSON Lines, flattened to lines of ``path: value`` that read without knowing the format.

Records (an array of objects, or one a line) are one block each; a record's title and text come first, without a path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from ragindex_core.document import BlockKind, DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.builder import About, TextBuilder
from ragindex_worker.parsing.limits import ParseLimits

_TITLES = ("title", "name", "heading", "subject")
_TEXTS = ("text", "body", "content", "description")
_LONGEST_PATH = 500  # characters: of a longer one its end is kept


def parse(text: str, limits: ParseLimits, lines: bool) -> ParsedDocument:
    out = TextBuilder(limits.max_characters)
    if lines:
        for record in _json_lines(text):
            _add_record(out, record)
        return out.document(About("application/jsonl", "jsonl/1"))
    value = _loads(text)
    title = None
    if isinstance(value, dict):
        title = next((value[key] for key in _TITLES if isinstance(value.get(key), str)), None)
        _add_object(out, value)
    else:
        for record in value if isinstance(value, list) else [value]:
            _add_record(out, record)
    return out.document(About("application/json", "json/1", title=title))


def _json_lines(text: str) -> Iterator[object]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield _loads(line)
            except ValueError as error:
                message = f"line {number} is not JSON"
                raise DocumentRejected(DocumentReason.CORRUPT, message) from error


def _loads(text: str) -> object:
    """Numbers stay as they are written."""
    value: object = json.loads(text, parse_int=str, parse_float=str)
    return value


def _add_record(out: TextBuilder, record: object) -> None:
    lines: list[str] = []
    rest = record
    if isinstance(record, dict):
        first = [key for keys in (_TITLES, _TEXTS) for key in keys if _is_prose(record.get(key))][:2]
        lines = [str(record[key]) for key in first]
        rest = {key: value for key, value in record.items() if key not in first}
    out.add(BlockKind.PARAGRAPH, "\n".join([*lines, *_flat(rest)]))


def _add_object(out: TextBuilder, value: Mapping[str, object]) -> None:
    """Plain fields together, each field that holds more as a block of its own, in the order of the file."""
    plain: list[str] = []
    for key, field in value.items():
        if isinstance(field, dict | list):
            out.add(BlockKind.PARAGRAPH, "\n".join(plain))
            plain = []
            if isinstance(field, list) and any(isinstance(item, dict) for item in field):
                out.heading(1, key)
                for record in field:
                    _add_record(out, record)
            else:
                out.add(BlockKind.PARAGRAPH, "\n".join(_flat({key: field})))
        else:
            plain += _flat({key: field})
    out.add(BlockKind.PARAGRAPH, "\n".join(plain))


def _is_prose(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _flat(value: object, path: str = "") -> Iterable[str]:
    path = path[-_LONGEST_PATH:]
    if isinstance(value, dict):
        for key, field in value.items():
            yield from _flat(field, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        if all(not isinstance(item, dict | list) for item in value):
            if value:
                yield _labelled(path, ", ".join(_scalar(item) for item in value))
            return
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    elif value is not None and value != "":
        yield _labelled(path, _scalar(value))


def _labelled(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
