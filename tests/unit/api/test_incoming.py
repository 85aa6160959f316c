"""Names, metadata and forms of documents on their way in, however the bytes are divided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_api.encoding import encode
from ragindex_api.incoming import key_of, metadata_of
from ragindex_api.multipart import Event, Field, FileBegins, FileData, FormReader, events
from ragindex_api.problems import ProblemError
from ragindex_core.errors import InvalidInput

BOUNDARY = "x-boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(*parts: tuple[str, bytes]) -> bytes:
    pieces = [b"--x-boundary\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]
    return b"".join(pieces) + b"--x-boundary--\r\n"


FILE = 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain'
METADATA = 'Content-Disposition: form-data; name="metadata"'


def read(pieces: Iterator[bytes]) -> list[Event]:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def collect() -> list[Event]:
        return [event async for event in events(FormReader(TYPE), body())]

    return asyncio.run(collect())


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 500), max_size=8))
def test_a_file_comes_through_however_the_body_is_cut(data: bytes, cuts: list[int]) -> None:
    whole = form((METADATA, b'{"year": 1}'), (FILE, data))
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    found = read(whole[start:end] for start, end in pairwise(places))
    assert b"".join(event.data for event in found if isinstance(event, FileData)) == data
    assert [event for event in found if isinstance(event, FileBegins)] == [FileBegins("a.txt", "text/plain")]
    assert [event for event in found if isinstance(event, Field)] == [Field("metadata", b'{"year": 1}')]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form((FILE, b"a"), (FILE, b"b")), id="two files"),
        pytest.param(form((METADATA, b"{}")), id="no file"),
        pytest.param(form((METADATA, b"x" * 70_000), (FILE, b"a")), id="a field without end"),
        pytest.param(form(('Content-Disposition: form-data; name="other"', b"a")), id="a field nobody knows"),
    ],
)
def test_a_form_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(iter([body]))


@pytest.mark.parametrize("body", [form((FILE, b"a"))[:-20], b"no form", b""])
def test_a_form_that_breaks_off_is_malformed(body: bytes) -> None:
    with pytest.raises(ProblemError):
        read(iter([body]))


@pytest.mark.parametrize("name", ["a.txt", "handbook/leave.md", "ünï/文.pdf", "..a", "a b"])
def test_relative_paths_are_names(name: str) -> None:
    assert key_of(name, "file") == name


@pytest.mark.parametrize("name", ["", " ", "/a", "a/", "a//b", ".", "a/../b", "a\nb", "a\0b", "\ud800", "ä" * 501])
def test_other_texts_are_not(name: str) -> None:
    with pytest.raises(InvalidInput):
        key_of(name, "file")


def test_metadata_keeps_its_types() -> None:
    given = '{"a": "x", "b": 1, "c": 1.5, "d": true, "e": ["x", "y"], "f": 1.0}'
    found = metadata_of(given)
    assert found == {"a": "x", "b": 1, "c": 1.5, "d": True, "e": ["x", "y"], "f": 1.0}
    assert [type(value) for value in found.values()] == [str, int, float, bool, list, float]


@pytest.mark.parametrize(
    "number",
    ["9007199254740993", "-9007199254740993", "1" + "0" * 400, "1" + "0" * 5000, "1e400", "Infinity", "-Infinity"],
)
def test_numbers_that_would_not_come_back_as_they_are_are_refused_by_name(number: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        metadata_of(f'{{"fine": 1, "big": {number}}}')
    assert refused.value.problems[0].field in ("metadata.big", "metadata")


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**60, 1e300, 5e-324, -0.5])
def test_numbers_that_a_double_holds_are_kept(number: float) -> None:
    assert metadata_of(encode({"a": number})) == {"a": number}


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\ud800": 1}', '{"\\u0000": 1}', '{"a": ["\\u0000"]}'])
def test_metadata_that_no_text_can_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="metadata"):
        metadata_of(text)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": null}', '{"a": {}}', '{"a": [1]}', '{"": 1}', '{"a": "\\u0000"}', '{"a": NaN}']
)
def test_metadata_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        metadata_of(text)
