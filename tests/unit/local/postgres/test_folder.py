"""The folder of the embedded server: what may be wrong with it is said, what can be mended is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ragindex_core.errors import Conflict, Misconfigured
from ragindex_local.postgres.folder import Folder, Lock, new_password


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "deep" / "inside")
    folder.prepare()
    return folder


def test_a_new_folder_is_closed_to_others_eyes(folder: Folder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) & 0o066 == 0


def test_a_password_comes_back_and_only_its_owner_may_read_it(folder: Folder) -> None:
    password = new_password()
    folder.keep_password(password)
    assert folder.password() == password
    assert stat.S_IMODE(folder.password_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"abc\n", b"\xff\xfe\x00", b"g" * 64, b"a" * 65])
def test_a_damaged_password_counts_as_none(folder: Folder, content: bytes) -> None:
    folder.password_file.write_bytes(content)
    assert folder.password() is None


def test_a_second_holder_is_told_the_first_ones_number(folder: Folder) -> None:
    first, second = Lock(folder), Lock(folder)
    first.acquire()
    with pytest.raises(Conflict, match=rf"process {os.getpid()}\)"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_what_an_interrupted_start_left_is_cleared_away(folder: Folder) -> None:
    (folder.path / "making-x" / "pgdata").mkdir(parents=True)
    (folder.path / "password-x").touch()
    folder.remove_halves()
    assert list(folder.path.iterdir()) == []


def test_a_folder_that_cannot_be_made_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="--data DIR"):
        Folder(tmp_path / "file" / "inside").prepare()


def test_a_folder_of_something_else_is_not_taken_for_a_database(folder: Folder) -> None:
    assert folder.major() is None
    folder.pgdata.mkdir()
    with pytest.raises(Misconfigured, match="not a database of RagIndex"):
        folder.major()
    (folder.pgdata / "PG_VERSION").write_text("18\n")
    assert folder.major() == 18


def test_a_long_log_makes_room_for_a_new_one(folder: Folder) -> None:
    folder.log.write_bytes(b"x" * (6 * 1024 * 1024))
    os.close(folder.open_log())
    assert folder.log.stat().st_size == 0
    assert (folder.path / "server.log.1").exists()
