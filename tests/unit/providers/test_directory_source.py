"""A folder as a source: what it lists, and that nothing outside it can be reached through it."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.source import MEGABYTE, SourceContract, Writer

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, InvalidInput, Unavailable
from ragindex_core.ports import Source
from ragindex_providers.sources import DirectoryChoice, open_source
from ragindex_providers.sources.confined import open_file, open_root
from ragindex_providers.sources.directory import SIDECAR_SUFFIX, DirectorySource
from ragindex_providers.sources.keys import key_of, path_of


class FolderWriter:
    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_bytes(content)
        new.rename(path)

    def put_sidecar(self, key: str, content: bytes) -> None:
        self.put(key + SIDECAR_SUFFIX, content)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


class TestDirectorySource(SourceContract):
    @pytest.fixture
    def writer(self, tmp_path: Path) -> Writer:
        return FolderWriter(tmp_path)

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return open_source(DirectoryChoice(tmp_path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "secret.txt"
    path.parent.mkdir()
    path.write_text("not for you")
    return path


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def keys(root: Path, **patterns: Any) -> list[str]:
    return [found.key for found in DirectorySource(root, **patterns).list()]


def reason(root: Path, key: str) -> DocumentReason:
    with pytest.raises(DocumentRejected) as caught:
        DirectorySource(root).fetch(key, io.BytesIO(), MEGABYTE)
    return caught.value.reason


PATTERNS: list[Any] = [
    pytest.param(["**/*.pdf"], [], ["a.pdf", "x/.hidden/d.pdf", "x/b.pdf"], id="two stars reach all folders and none"),
    pytest.param(["*.pdf"], [], ["a.pdf"], id="one star stays in the folder"),
    pytest.param(["x/*"], [], ["x/b.pdf", "x/c.TXT"], id="a leading dot is no different, a folder is not its files"),
    pytest.param(["**/*.txt"], [], [], id="letters match in their own case"),
    pytest.param([], ["x/**"], ["a.pdf"], id="no include is everything"),
    pytest.param(["**/*.pdf"], ["**/.hidden/**"], ["a.pdf", "x/b.pdf"], id="an exclude wins over an include"),
    pytest.param(["**/[ab].pdf"], [], ["a.pdf", "x/b.pdf"], id="a set of characters"),
    pytest.param(["!a.pdf"], [], [], id="an exclamation mark is a character"),
    pytest.param(["{a,b}.pdf"], [], [], id="braces are characters"),
]


@pytest.mark.parametrize(("include", "exclude", "expected"), PATTERNS)
def test_patterns(root: Path, include: list[str], exclude: list[str], expected: list[str]) -> None:
    fill(root, "a.pdf", "x/b.pdf", "x/c.TXT", "x/.hidden/d.pdf")
    assert keys(root, include=include, exclude=exclude) == expected


@pytest.mark.parametrize("pattern", ["", "/a", "../a", "a/../b", "a\0"])
def test_a_pattern_that_cannot_mean_a_document_is_named(root: Path, pattern: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        DirectorySource(root, ["ok", pattern])
    assert [problem.field for problem in caught.value.problems] == ["include[1]"]


def test_a_listing_is_in_the_order_of_names(root: Path) -> None:
    fill(root, "b", "a/2", "a/10", "c/x", "Z")
    assert keys(root) == ["Z", "a/10", "a/2", "b", "c/x"]


def test_metadata_files_are_no_documents_with_or_without_one(root: Path) -> None:
    fill(root, "a.txt", "a.txt.metadata.json", "orphan.pdf.metadata.json")
    assert keys(root) == ["a.txt"]


def test_the_file_systems_own_folder_and_volume_layout_are_not_listed(root: Path) -> None:
    fill(root, "..2024_01/handbook.md", "lost+found/x", "docs/lost+found/y")
    (root / "..data").symlink_to("..2024_01")
    (root / "handbook.md").symlink_to("..data/handbook.md")
    assert keys(root) == ["docs/lost+found/y", "handbook.md"]
    into = io.BytesIO()
    DirectorySource(root).fetch("handbook.md", into, MEGABYTE)
    assert into.getvalue() == b"..2024_01/handbook.md"


def test_a_link_takes_the_version_of_what_it_leads_to(root: Path) -> None:
    fill(root, "real.txt")
    (root / "link.txt").symlink_to("real.txt")
    link, real = DirectorySource(root).list()
    assert (link.version, link.size) == (real.version, real.size)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("../outside/secret.txt", id="a relative way out"),
        pytest.param("sub/../../outside/secret.txt", id="a way out through a folder"),
        pytest.param("{secret}", id="an absolute path"),
        pytest.param("way-out/secret.txt", id="a link to a folder outside"),
        pytest.param("loop", id="a link to itself"),
        pytest.param("gone", id="a link to nothing"),
        pytest.param("sub", id="a link to a folder"),
        pytest.param(".", id="a link to its own folder"),
    ],
)
def test_a_link_that_leads_to_no_file_inside_is_neither_listed_nor_read(root: Path, secret: Path, target: str) -> None:
    fill(root, "sub/file")
    (root / "way-out").symlink_to(secret.parent)
    (root / "loop").symlink_to(target.format(secret=secret))
    assert keys(root) == ["sub/file"]
    assert reason(root, "loop") is DocumentReason.UNREADABLE
    assert reason(root, "way-out/secret.txt") is DocumentReason.UNREADABLE


def test_links_in_a_ring_of_folders_end(root: Path) -> None:
    fill(root, "a/file", "b/file")
    (root / "a/b").symlink_to("../b")
    (root / "b/a").symlink_to("../a")
    assert keys(root) == ["a/file", "b/file"]


@pytest.mark.parametrize(
    "key", ["../outside/secret.txt", "/etc/hostname", "sub//file", "sub/./file", "", "sub", "a\0b"]
)
def test_a_key_that_no_listing_gives_reads_nothing(root: Path, secret: Path, key: str) -> None:
    fill(root, "sub/file")
    assert reason(root, key) is DocumentReason.UNREADABLE


def test_a_folder_swapped_for_a_link_after_the_listing_leads_nowhere(root: Path, secret: Path) -> None:
    fill(root, "sub/secret.txt")
    (listed,) = DirectorySource(root).list()
    (root / "sub/secret.txt").unlink()
    (root / "sub").rmdir()
    (root / "sub").symlink_to(secret.parent)
    assert reason(root, listed.key) is DocumentReason.UNREADABLE


def test_pipes_sockets_and_devices_are_not_listed_and_reading_one_does_not_wait(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        assert keys(root) == []
        assert reason(root, "pipe") is DocumentReason.UNREADABLE
        assert reason(root, "socket") is DocumentReason.UNREADABLE


def test_no_descriptor_is_left_open(root: Path, secret: Path) -> None:
    fill(root, "a/b/c/file", "d")
    (root / "out").symlink_to(secret)
    (root / "a/in").symlink_to("b/../b/c/file")
    before = len(os.listdir("/dev/fd"))
    assert keys(root) == ["a/b/c/file", "a/in", "d"]
    DirectorySource(root).fetch("a/in", io.BytesIO(), MEGABYTE)
    reason(root, "out")
    abandoned = DirectorySource(root).list()
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/dev/fd")) == before


def test_a_missing_root_is_no_empty_listing(root: Path) -> None:
    for source in (DirectorySource(root / "gone"), DirectorySource(root / "file")):
        (root / "file").touch()
        with pytest.raises(Unavailable):
            list(source.list())
        with pytest.raises(Unavailable):
            source.fetch("a", io.BytesIO(), MEGABYTE)


def test_a_folder_that_cannot_be_read_fails_the_listing_unless_it_is_excluded(root: Path) -> None:
    fill(root, "open/a", "shut/b")
    deep = root / "shut"
    for _ in range(120):  # deeper than a listing goes: fails for root too, whom no permission stops
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(Unavailable):
        keys(root)
    assert keys(root, exclude=["shut/**"]) == ["open/a"]


class Meddler(io.BytesIO):
    """Changes the file while it is being read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def write(self, block: Any) -> int:
        self._path.write_bytes(b"x" * len(block) + b"more")
        return super().write(block)


def test_a_file_that_changes_while_it_is_read_is_not_taken(root: Path) -> None:
    fill(root, "a.txt")
    with pytest.raises(DocumentRejected) as caught:
        DirectorySource(root).fetch("a.txt", Meddler(root / "a.txt"), MEGABYTE)
    assert caught.value.reason is DocumentReason.CHANGED


class Full(io.BytesIO):
    def write(self, _block: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_the_readers_end_is_not_blamed_on_the_source(root: Path) -> None:
    fill(root, "a.txt")
    with pytest.raises(OSError, match="No space"):
        DirectorySource(root).fetch("a.txt", Full(), MEGABYTE)


NAMES = [b"line\nbreak", b"tab\t", b"latin-\xe9", b"100%", b"%41", b"%0A", "\u2028".encode(), b"\xff\xfe%ff", b"a b"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_has_a_printable_key_that_leads_back_to_it(root: Path, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(name)
    (found,) = DirectorySource(root).list()
    assert found.key.isprintable()
    assert found.key.encode()
    assert found.uri.endswith("/" + found.key)
    into = io.BytesIO()
    DirectorySource(root).fetch(found.key, into, MEGABYTE)
    assert into.getvalue() == name


@given(st.binary(max_size=30).map(os.fsdecode))
def test_keys_round_trip(path: str) -> None:
    assert path_of(key_of(path)) == path


@given(st.lists(st.binary(max_size=6).map(os.fsdecode), unique=True, max_size=5))
def test_different_names_have_different_keys(paths: list[str]) -> None:
    assert len({key_of(path) for path in paths}) == len(paths)


@pytest.fixture(scope="module")
def maze(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders, files and links of all sorts, with files of the same names outside."""
    base = tmp_path_factory.mktemp("maze")
    for folder in ("root/a/b", "root/b", "a/b", "b"):
        (base / folder).mkdir(parents=True)
        (base / folder / "f").write_text("inside" if folder.startswith("root") else "outside")
    for link, target in {
        "root/up": "..", "root/a/up": "../..", "root/a/b/up": "..", "root/l": "a/b", "root/b/l": "../../b",
        "root/a/l": "/", "root/a/b/l": "../../up/b", "root/lf": "l/f", "root/b/lf": "../../a/b/f",
    }.items():  # fmt: skip
        (base / link).symlink_to(target)
    return base / "root"


@given(st.lists(st.sampled_from(["a", "b", "f", "l", "lf", "up", "..", "."]), min_size=1, max_size=8).map("/".join))
def test_no_path_through_a_maze_of_links_reads_a_file_outside(maze: Path, path: str) -> None:
    root = open_root(maze)
    try:
        descriptor = open_file(root, path)
    except OSError:
        return
    finally:
        os.close(root)
    try:
        assert stat.S_ISREG(os.fstat(descriptor).st_mode)
        assert os.read(descriptor, 10) == b"inside"
    finally:
        os.close(descriptor)
