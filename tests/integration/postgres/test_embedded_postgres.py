"""The embedded server through a hard life: it starts whatever happened before, and never outlives its owner."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ragindex_core.errors import Conflict, Misconfigured
from ragindex_local.postgres import EmbeddedPostgres, binaries
from ragindex_local.postgres.folder import Folder

PATIENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One database for all tests here: each has to cope with what the one before did to it."""
    folder = Folder(tmp_path_factory.mktemp("embedded") / "with a space" / "postgres")
    server = EmbeddedPostgres(folder.path)
    with server as url, _connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('still here')")
    return folder


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def _assert_all_is_well(folder: Folder) -> None:
    with EmbeddedPostgres(folder.path) as url, _connect(url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("still here",)]


@pytest.fixture
def owner(folder: Folder) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int, int]]]:
    """Starts another process that owns the server; gives it with the pids of server and guardian."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death, and has /proc to watch that in")
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], int, int]:
        script = Path(__file__).with_name("owner.py")
        command = [sys.executable, str(script), str(folder.path), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        server, guardian = process.stdout.readline().split()
        return process, int(server), int(guardian)

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _ends(*pids: int) -> Callable[[], bool]:
    """Watch processes that are not our children; the result tells whether all ended in time."""
    watched = [os.pidfd_open(pid) for pid in pids]

    def all_ended() -> bool:
        try:
            return all(select.select([descriptor], [], [], PATIENCE_SECONDS)[0] for descriptor in watched)
        finally:
            for descriptor in watched:
                os.close(descriptor)

    return all_ended


def test_vectors_unicode_and_scram_are_there(folder: Folder) -> None:
    with EmbeddedPostgres(folder.path) as url, _connect(url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert connection.execute("SELECT lower('ÄÖ'), 'ä' > 'z'").fetchone() == ("äö", True)
        wrong = url.replace("postgresql+psycopg://ragindex:", "postgresql://ragindex:x")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def test_neither_its_representation_nor_its_log_shows_the_password(folder: Folder) -> None:
    server = EmbeddedPostgres(folder.path)
    with server:
        password = folder.password()
        assert password is not None
        assert password not in repr(server)
        assert password not in server.log.read_text()
    assert server.pid is None


def test_ctrl_c_in_the_terminal_does_not_reach_it(folder: Folder) -> None:
    server = EmbeddedPostgres(folder.path)
    with server:
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)


@pytest.mark.parametrize(
    ("arguments", "victims"),
    [
        pytest.param([], ["owner"], id="the owner is killed"),
        pytest.param(["fork"], ["owner"], id="the owner is killed and a child of its lives on"),
        pytest.param([], ["guardian"], id="the guardian is killed"),
        pytest.param([], ["owner", "guardian"], id="both are killed"),
    ],
)
def test_the_server_does_not_outlive_its_owner(
    folder: Folder,
    owner: Callable[..., tuple[subprocess.Popen[str], int, int]],
    arguments: list[str],
    victims: list[str],
) -> None:
    process, server, guardian = owner(*arguments)
    all_ended = _ends(server, guardian)
    pids = {"owner": process.pid, "guardian": guardian}
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    assert all_ended()
    process.kill()
    process.wait()
    _assert_all_is_well(folder)


def test_a_server_left_behind_is_stopped_by_the_next_start(
    folder: Folder, owner: Callable[..., tuple[subprocess.Popen[str], int, int]]
) -> None:
    process, server, guardian = owner()
    all_ended = _ends(server, guardian)
    os.kill(guardian, signal.SIGSTOP)
    process.kill()
    process.wait()
    said: list[str] = []
    with EmbeddedPostgres(folder.path, progress=said.append):
        assert said == ["Stopped a PostgreSQL that an earlier run had left behind"]
    os.kill(guardian, signal.SIGCONT)
    assert all_ended()


def test_a_folder_in_use_is_refused_by_the_users_number(
    folder: Folder, owner: Callable[..., tuple[subprocess.Popen[str], int, int]]
) -> None:
    process, server, _ = owner()
    with pytest.raises(Conflict, match=rf"process {process.pid}\)"):
        EmbeddedPostgres(folder.path).start()
    os.kill(server, 0)  # and was not disturbed


def test_a_killed_server_recovers(folder: Folder, owner: Callable[..., tuple[subprocess.Popen[str], int, int]]) -> None:
    process, server, guardian = owner()
    all_ended = _ends(server, guardian)
    os.kill(server, signal.SIGKILL)
    assert all_ended()
    process.kill()
    process.wait()
    _assert_all_is_well(folder)


def test_a_pid_file_that_names_a_stranger_does_the_stranger_no_harm(folder: Folder) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        stale = folder.pgdata / "postmaster.pid"
        stale.write_text(f"{stranger.pid}\n{folder.pgdata}\n1\n5432\n\n127.0.0.1\n1 2\nready\n")
        _assert_all_is_well(folder)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize(
    "content", [pytest.param("garbage", id="damaged"), pytest.param("a" * 64, id="another folder's"), None]
)
def test_a_lost_password_is_replaced(folder: Folder, content: str | None) -> None:
    if content is None:
        folder.password_file.unlink()
    else:
        folder.password_file.write_text(content)
    _assert_all_is_well(folder)
    assert folder.password() != content


def test_data_of_another_version_is_left_alone(folder: Folder) -> None:
    others = [found for found in binaries.installed() if found.major != folder.major()]
    with pytest.raises(Misconfigured, match=f"was made by PostgreSQL {folder.major()}"):
        EmbeddedPostgres(folder.path, binaries=others).start()
    _assert_all_is_well(folder)


def test_an_older_version_keeps_running_its_data(tmp_path: Path) -> None:
    oldest = binaries.installed()[-1]
    for offered in ([oldest], None):
        with EmbeddedPostgres(tmp_path / "old", binaries=offered) as url, _connect(url) as connection:
            assert connection.info.server_version // 10000 == oldest.major


def test_a_full_disk_is_named_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("initdb", "postgres"):
        (programs / name).write_text("#!/bin/sh\necho 'could not write: No space left on device' >&2\nexit 1\n")
        (programs / name).chmod(0o755)
    data = tmp_path / "data"
    with pytest.raises(Misconfigured, match=r"disk that holds .* is full .* --data DIR"):
        EmbeddedPostgres(data, binaries=[binaries.Binaries(programs, 18)]).start()
    assert {path.name for path in data.iterdir()} == {"lock"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another account")
def test_root_opens_no_folder_to_let_the_server_pass(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "clone" / "postgres")
    with server:
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
