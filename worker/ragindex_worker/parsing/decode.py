"""Bytes become characters: by their mark, as UTF-8, by what they declare, and only then by guessing."""

from __future__ import annotations

import codecs
import re

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})"""
    rb"""|<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WESTERN = re.compile(
    "[\xa0-\xff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u2013-\u201e\u2022\u2026\u20ac\u2122\u2039\u203a]+"
)
_SAMPLE = 64 * 1024


def decode(data: bytes) -> str:
    """The text of a file. Raises DocumentRejected(Unsupported) for what is no text in any encoding."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _not_binary(data[len(mark) :].decode(encoding, errors="replace"))
    wide = _wide_encoding(data)
    if wide is not None:
        return _not_binary(data.decode(wide, errors="replace"))
    if looks_binary(data):
        raise _unsupported()
    return _utf8(data) or _declared(data) or _cp1252(data) or _guessed(data)


def looks_binary(data: bytes) -> bool:
    """Whether there are more control characters than any text has. UTF-16 looks binary, too."""
    sample = data[:_SAMPLE]
    return len(_CONTROLS.findall(sample)) > max(2, len(sample) // 200)


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 without a mark shows by its zeros: nearly every other byte, always on the same side."""
    sample = data[: _SAMPLE & ~1]
    half = len(sample) // 2
    if half < 4:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.7 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _not_binary(text: str) -> str:
    if looks_binary(text[:_SAMPLE].encode("utf-8", errors="replace")):
        raise _unsupported()
    return text


def _utf8(data: bytes) -> str | None:
    """UTF-8, forgiving the odd damaged character in a file that is clearly meant to be UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
        damaged = text.count("\ufffd")
        sound = sum(1 for c in text if c > "\x7f") - damaged
        return text if sound >= 10 * damaged else None


def _declared(data: bytes) -> str | None:
    match = _DECLARED.search(data[:4096])
    if match is None:
        return None
    try:
        return data.decode((match[1] or match[2]).decode("ascii"))
    except (LookupError, UnicodeDecodeError):
        return None  # declares an encoding that is unknown or wrong: guess on


def _cp1252(data: bytes) -> str | None:
    """Western European, when its accented letters and quotes stand as rarely as they do in such text."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    high = sum(1 for c in text if c > "\x7f")
    letters = sum(1 for c in text if c.isalpha())
    western = sum(len(run) for run in _WESTERN.findall(text))
    return text if western == high and high <= max(2, letters // 4) else None


def _guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    sample = data[:_SAMPLE]
    if len(data) > _SAMPLE and b"\n" in sample:
        sample = sample[: sample.rindex(b"\n")]  # no character is cut in two there
    best = from_bytes(sample).best()
    if best is None:
        raise _unsupported()
    return data.decode(best.encoding, errors="replace")


def _unsupported() -> DocumentRejected:
    return DocumentRejected(DocumentReason.UNSUPPORTED, "the file is neither text nor of a kind that can be read")
