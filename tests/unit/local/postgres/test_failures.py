"""Whatever PostgreSQL says, the message names the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragindex_core.errors import Misconfigured, Unavailable
from ragindex_local.postgres.binaries import Binaries, choose
from ragindex_local.postgres.failures import explain, port_is_taken


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param('FATAL:  could not write file "x": No space left on device', "--data DIR", id="disk full"),
        pytest.param(
            "FATAL:  could not resize shared memory segment: No space left on device",
            "--shm-size",
            id="shared memory full",
        ),
        pytest.param('FATAL:  could not open file "x": Permission denied', "give them to the account", id="not ours"),
        pytest.param('FATAL:  could not open file "x": Read-only file system', "read-only", id="read-only disk"),
        pytest.param("PANIC:  could not locate a valid checkpoint record", "backup", id="damaged"),
        pytest.param("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "memory", id="memory"),
    ],
)
def test_known_troubles_are_for_the_owner_of_the_machine_to_mend(words: str, names: str, tmp_path: Path) -> None:
    error = explain(words, tmp_path, None)
    assert isinstance(error, Misconfigured)
    assert names in str(error)


def test_an_unknown_trouble_shows_the_last_grave_words_and_the_log(tmp_path: Path) -> None:
    error = explain("LOG:  starting\nFATAL:  the moon is full\nLOG:  bye", tmp_path, tmp_path / "server.log")
    assert isinstance(error, Unavailable)
    assert "the moon is full" in str(error)
    assert "starting" not in str(error)
    assert str(tmp_path / "server.log") in str(error)


def test_a_port_taken_in_the_last_moment_is_told_apart() -> None:
    assert port_is_taken('LOG:  could not bind IPv4 address "127.0.0.1": Address already in use')
    assert not port_is_taken("FATAL:  no")


def test_data_is_run_by_the_version_that_made_it() -> None:
    new, old = Binaries(Path("/new"), 18), Binaries(Path("/old"), 16)
    assert choose([new, old], None, Path("/data")) is new
    assert choose([new, old], 16, Path("/data")) is old
    with pytest.raises(Misconfigured, match="made by PostgreSQL 17, and this installation brings 18 and 16"):
        choose([new, old], 17, Path("/data"))
