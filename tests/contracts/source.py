"""What every Source promises: subclass, and give the ``source`` and ``writer`` fixtures of one and the same place."""

from __future__ import annotations

import hashlib
import io
from typing import Protocol

import pytest

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected
from ragindex_core.ports import Source

MEGABYTE = 1_000_000


class Writer(Protocol):
    """The other side of a source: whoever keeps the documents."""

    def put(self, key: str, content: bytes) -> None: ...

    def put_sidecar(self, key: str, content: bytes) -> None: ...

    def remove(self, key: str) -> None: ...


class SourceContract:
    @pytest.fixture
    def writer(self) -> Writer:
        raise NotImplementedError

    @pytest.fixture
    def source(self, writer: Writer) -> Source:
        raise NotImplementedError

    def test_lists_what_there_is_each_with_an_address_that_ends_in_its_key(
        self, source: Source, writer: Writer
    ) -> None:
        keys = ["a.txt", "folder/b with space.txt", "folder/sub/ü 100%.md"]
        for key in keys:
            writer.put(key, key.encode())
        objects = {found.key: found for found in source.list()}
        assert sorted(objects) == sorted(keys)
        assert all(found.uri.endswith("/" + found.key) for found in objects.values())
        assert all(found.size == len(key.encode()) for key, found in objects.items())

    def test_lists_in_the_order_of_the_keys(self, source: Source, writer: Writer) -> None:
        keys = ["guide.md", "guide-2.md", "guide/1.md", "guide/1/x.md", "guide/a!b.md", "guide/a\nb.md", "ü.md"]
        for key in keys:
            writer.put(key, b"")
        listed = [found.key for found in source.list()]
        assert len(listed) == len(keys)
        assert listed == sorted(listed)

    def test_an_empty_place_is_an_empty_listing(self, source: Source, writer: Writer) -> None:
        writer.put("a.txt", b"a")
        writer.remove("a.txt")
        assert list(source.list()) == []

    def test_hands_over_the_bytes_their_digest_and_their_version(self, source: Source, writer: Writer) -> None:
        content = bytes(range(256)) * 9_000
        writer.put("big.bin", content)
        into = io.BytesIO()
        fetched = source.fetch("big.bin", into, 10 * MEGABYTE)
        (listed,) = source.list()
        assert into.getvalue() == content
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()
        assert (fetched.size, fetched.version) == (len(content), listed.version)

    def test_the_version_stays_with_the_bytes_and_changes_with_them(self, source: Source, writer: Writer) -> None:
        writer.put("a.txt", b"one")
        first, again = (next(iter(source.list())).version for _ in range(2))
        writer.put("a.txt", b"two")
        assert first == again
        assert next(iter(source.list())).version != first

    def test_what_is_larger_than_allowed_is_not_handed_over(self, source: Source, writer: Writer) -> None:
        writer.put("a.txt", b"12345")
        into = io.BytesIO()
        assert source.fetch("a.txt", into, 5).size == 5
        with pytest.raises(DocumentRejected) as caught:
            source.fetch("a.txt", io.BytesIO(), 4)
        assert caught.value.reason is DocumentReason.TOO_LARGE

    def test_what_is_not_there_is_unreadable(self, source: Source, writer: Writer) -> None:
        writer.put("a.txt", b"a")
        for key in ("b.txt", "a.txt/b", "../a.txt"):
            with pytest.raises(DocumentRejected) as caught:
                source.fetch(key, io.BytesIO(), MEGABYTE)
            assert caught.value.reason is DocumentReason.UNREADABLE

    def test_a_metadata_file_goes_with_its_document(self, source: Source, writer: Writer) -> None:
        writer.put("a.pdf", b"a")
        writer.put("b.pdf", b"b")
        writer.put_sidecar("a.pdf", b'{"metadataAttributes": {"year": 2024}}')
        found = {listed.key: listed for listed in source.list()}
        assert sorted(found) == ["a.pdf", "b.pdf"]
        assert found["a.pdf"].sidecar_version is not None
        assert found["b.pdf"].sidecar_version is None
        assert source.sidecar("a.pdf") == {"metadataAttributes": {"year": 2024}}

    def test_a_changed_metadata_file_shows_in_its_version(self, source: Source, writer: Writer) -> None:
        writer.put("a.pdf", b"a")
        writer.put_sidecar("a.pdf", b'{"metadataAttributes": {"year": 2024}}')
        (before,) = source.list()
        writer.put_sidecar("a.pdf", b'{"metadataAttributes": {"year": 2025}}')
        (after,) = source.list()
        assert before.version == after.version
        assert before.sidecar_version != after.sidecar_version

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
    def test_a_metadata_file_that_is_no_object_is_corrupt(self, source: Source, writer: Writer, content: bytes) -> None:
        writer.put("a.pdf", b"a")
        writer.put_sidecar("a.pdf", content)
        with pytest.raises(DocumentRejected) as caught:
            source.sidecar("a.pdf")
        assert caught.value.reason is DocumentReason.CORRUPT
