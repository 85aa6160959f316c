"""Everything that leaves as JSON goes through here, and nothing that is stored can make it fail."""

from __future__ import annotations

from typing import Any

import orjson

_MOST, _LEAST = 2**64 - 1, -(2**63)


def encode(content: Any) -> bytes:
    """What JSON or its readers have no room for is put the nearest way: a number of more than 64 bits as a double,
    null beyond those, and a replacement character for half a character."""
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        return orjson.dumps(_bounded(content))


def _bounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {_bounded(key): _bounded(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(member) for member in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not _LEAST <= value <= _MOST:
        try:
            return float(value)
        except OverflowError:
            return None
    return value
