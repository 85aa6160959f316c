"""Sound samples of every format, broken inside: parts of an archive are changed and packed again, so that the damage
reaches the parser behind the checksums. Whatever comes of it is a document or one of the documented reasons.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragindex_core.document import DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected

FOLDER = Path(__file__).parents[3] / "samples"
SAMPLES = sorted([*FOLDER.glob("handbook*"), *FOLDER.glob("rates*")])
EXAMPLES = 300 if os.environ.get("RAGINDEX_FAULTS") == "long" else 5
Parse = Callable[..., ParsedDocument]

_TAG = re.compile(rb"<[^<>]+>")
_NUMBER = re.compile(rb"\d+")
WILD = st.sampled_from(
    [
        b"-1",
        b"0",
        b"99999999999999999999",
        b"1e999",
        b"NaN",
        b"\xff",
        b"&#0;",
        b"&x;",
        b"<a>",
        b"]]>",
        b"",
        b"\xed\xa0\x80",
    ]
)


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """A number or tag exchanged, a stretch repeated, dropped or moved."""
    how = draw(st.sampled_from(["number", "tag", "repeat", "drop", "swap", "byte"]))
    places = list((_NUMBER if how == "number" else _TAG).finditer(content)) if how in ("number", "tag") else []
    if places:
        place = draw(st.sampled_from(places))
        return content[: place.start()] + draw(WILD) + content[place.end() :]
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 400)))
    piece = content[start:end]
    if how == "repeat":
        return content[:end] + piece * draw(st.integers(1, 50)) + content[end:]
    if how == "swap":
        return content[:start] + piece[::-1] + content[end:]
    return content[:start] + (draw(WILD) if how == "byte" else b"") + content[end:]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    if not whole.startswith(b"PK"):
        return draw(mutated(whole))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    name = draw(st.sampled_from(sorted(parts)))
    parts[name] = draw(mutated(parts[name]))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)
    return made.getvalue()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_damage_behind_the_checksums(parse: Parse, path: Path) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=EXAMPLES < 100,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(content=damaged(path.read_bytes()))
    def ends_honestly(content: bytes) -> None:
        try:
            parse(content, path.name)  # which holds the document against its promises
        except DocumentRejected as rejection:
            if rejection.reason is DocumentReason.INTERNAL:
                raise

    ends_honestly()
