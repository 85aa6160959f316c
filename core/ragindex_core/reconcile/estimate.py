"""How many tokens the documents that wait will take: rather too many than too few, for it holds a bill back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Of a text in letters; models give English four to five, other languages fewer.
_CHARACTERS_A_TOKEN = 3.0
#: What headings add to each passage.
_CONTEXT_SHARE = 0.15
#: What part of a file's bytes can be text, for files that were never parsed. Office files are compressed, and a small
#: one may hold more text than bytes; of PDF most is fonts and pictures.
_TEXT_SHARE = {"pdf": 0.5, "docx": 0.6, "pptx": 0.3, "xlsx": 0.6, "xlsm": 0.6, "odt": 0.6, "html": 0.7, "htm": 0.7}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Documents of one file name extension (lower case). ``letters`` and ``ideograms`` count the text of those that
    were parsed before, ``unparsed_bytes`` is the size of the others."""

    extension: str
    letters: int
    ideograms: int
    unparsed_bytes: int


def tokens(waiting: Iterable[Waiting], max_tokens: int, overlap_tokens: int) -> int:
    """An ideogram may be a token, or three bytes of an unparsed file; passages repeat their overlap and headings."""
    plain = sum(
        each.letters / _CHARACTERS_A_TOKEN
        + each.ideograms
        + each.unparsed_bytes * _TEXT_SHARE.get(each.extension, 1.0) / _CHARACTERS_A_TOKEN
        for each in waiting
    )
    return round(plain * (1 + overlap_tokens / max(max_tokens, 1) + _CONTEXT_SHARE))
