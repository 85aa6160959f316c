"""What a text must be before it can leave the process."""

from __future__ import annotations

import re

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """Half a character pair, which no UTF-8 can hold, becomes one replacement character: offsets stay true."""
    return _LONE_SURROGATES.sub("\ufffd", text)
