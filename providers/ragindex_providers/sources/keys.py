"""Keys for file names of any bytes.

A key is printable Unicode and fits every store: what is not (control characters, those that turn the direction of
writing, bytes that are not UTF-8) is written ``%XX`` a byte, and a ``%`` that would read as such is written ``%25``.
All other names are their own key.
"""

from __future__ import annotations

import os
import re

_TO_ENCODE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})")
_ENCODED = re.compile(b"%([0-9A-Fa-f]{2})")


def key_of(path: str) -> str:
    """Of a path as Python's file functions give it, with undecodable bytes as surrogates."""
    return _TO_ENCODE.sub(lambda match: "".join(f"%{byte:02X}" for byte in os.fsencode(match[0])), path)


def path_of(key: str) -> str:
    encoded = key.encode("utf-8", "surrogateescape")
    return os.fsdecode(_ENCODED.sub(lambda match: bytes([int(match[1], 16)]), encoded))
