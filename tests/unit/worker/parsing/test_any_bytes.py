"""Whatever the bytes: a document that keeps its promises, or one of the documented reasons; never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragindex_core.document import DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.builder import normalise

Parse = Callable[..., ParsedDocument]

SAMPLES = sorted(path for path in (Path(__file__).parents[3] / "samples").iterdir() if path.suffix != ".pyc")
NAMES = [
    "a",
    "a.txt",
    "a.md",
    "a.html",
    "a.csv",
    "a.json",
    "a.jsonl",
    "a.xml",
    "a.vtt",
    "a.srt",
    "a.eml",
    "a.py",
    "a.pdf",
    "a.rtf",
]
OPENINGS = [
    *("", "WEBVTT\n\n", "<!doctype html>", "<?xml version='1.0'?>", "{\\rtf1 ", "From: a\nTo: b\n", "[", "{"),
    *("%PDF-1.4\n", "1\n00:00:01,000 -->", "1\n00:00:01,000 --> 00:00:02,000\n"),
]
MARKS = st.sampled_from(
    [
        *"# \n\t|-*`<>/=\"'{}[]:,;.\\&!0aé漢\u0301\x00\ufeff\u2028\x85\xa0\xad\r",
        *("---\n", "```", "</", "-->", "\n\n", "| a |\n|---|\n"),
    ]
)

VISIBLE = MARKS.filter(lambda mark: mark != "\x00")  # with enough of those a file is no text

many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(parse: Parse, content: bytes, name: str) -> ParsedDocument | DocumentReason:
    """``parse`` itself holds the document against the promises of ParsedDocument."""
    try:
        return parse(content, name)
    except DocumentRejected as rejection:
        if rejection.reason in (DocumentReason.INTERNAL, DocumentReason.POISON):
            raise
        return rejection.reason


@many
@given(content=st.binary(max_size=400), name=st.sampled_from(NAMES))
def test_any_bytes(parse: Parse, content: bytes, name: str) -> None:
    outcome(parse, content, name)


@settings(many, max_examples=600)
@given(opening=st.sampled_from(OPENINGS), text=st.lists(MARKS, max_size=80).map("".join), name=st.sampled_from(NAMES))
def test_any_text_that_looks_like_a_format(parse: Parse, opening: str, text: str, name: str) -> None:
    outcome(parse, (opening + text).encode("utf-8"), name)


@many
@given(text=st.lists(VISIBLE, max_size=80).map("".join), name=st.sampled_from(["a.txt", "a.md", "a.py"]))
def test_prose_code_and_markdown_keep_their_normalised_source(parse: Parse, text: str, name: str) -> None:
    found = outcome(parse, ("plain " + text).encode("utf-8"), name)
    assert isinstance(found, ParsedDocument)
    if found.media_type in ("text/plain", "text/markdown"):
        assert found.text == normalise("plain " + text)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_damaged_samples(parse: Parse, path: Path) -> None:
    """Cut short anywhere, or with a byte changed anywhere."""
    whole = path.read_bytes()

    @settings(many, max_examples=15)
    @given(at=st.integers(0, len(whole) - 1), byte=st.integers(0, 255), cut=st.booleans())
    def damaged(at: int, byte: int, cut: bool) -> None:
        content = whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :]
        outcome(parse, content, path.name)

    damaged()


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
