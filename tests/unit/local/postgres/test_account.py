"""Root hands the server to another account, with the least that lets it pass closed folders."""

from __future__ import annotations

import pytest

from ragindex_local.postgres.account import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_SETPCAP,
    Account,
    FileFacts,
    capability_at_hand,
    capability_needed,
)

NOBODY = 65534
OPEN_FOLDER = FileFacts(0, 0, 0o755)
CLOSED_HOME = FileFacts(0, 0, 0o700)
OWN_DATA = FileFacts(NOBODY, NOBODY, 0o700)
PROGRAM = FileFacts(0, 0, 0o755)
CLOSED_PROGRAM = FileFacts(0, 0, 0o700)


@pytest.mark.parametrize(
    ("folders", "program", "needed"),
    [
        pytest.param([OPEN_FOLDER, OWN_DATA], PROGRAM, None, id="everything is open: nothing is needed"),
        pytest.param([CLOSED_HOME, OWN_DATA], PROGRAM, CAP_DAC_READ_SEARCH, id="below a closed home: leave to pass"),
        pytest.param([OPEN_FOLDER], CLOSED_PROGRAM, CAP_DAC_OVERRIDE, id="programs closed by a strict umask: to run"),
        pytest.param([FileFacts(0, NOBODY, 0o710)], PROGRAM, None, id="the group may pass"),
        pytest.param([FileFacts(NOBODY, 0, 0o077)], PROGRAM, CAP_DAC_READ_SEARCH, id="an owner shut out stays out"),
        pytest.param([OPEN_FOLDER], FileFacts(0, 0, 0o711), CAP_DAC_READ_SEARCH, id="run but not read: leave to read"),
    ],
)
def test_no_more_is_handed_on_than_the_way_to_the_files_needs(
    folders: list[FileFacts], program: FileFacts, needed: int | None
) -> None:
    assert capability_needed(folders, program, NOBODY, NOBODY) == needed


SETPCAP, OVERRIDE, SEARCH = 1 << CAP_SETPCAP, 1 << CAP_DAC_OVERRIDE, 1 << CAP_DAC_READ_SEARCH


@pytest.mark.parametrize(
    ("needed", "effective", "handed_on"),
    [
        pytest.param(
            CAP_DAC_READ_SEARCH, SETPCAP | OVERRIDE | SEARCH, CAP_DAC_READ_SEARCH, id="the least of what is there"
        ),
        pytest.param(
            CAP_DAC_READ_SEARCH, SETPCAP | OVERRIDE, CAP_DAC_OVERRIDE, id="in a container, which lacks the lesser"
        ),
        pytest.param(CAP_DAC_OVERRIDE, SETPCAP | SEARCH, None, id="the lesser cannot stand in for the stronger"),
        pytest.param(CAP_DAC_READ_SEARCH, OVERRIDE | SEARCH, None, id="what may not be handed on is of no use"),
        pytest.param(CAP_DAC_READ_SEARCH, 0, None, id="root without rights"),
    ],
)
def test_a_capability_comes_out_of_what_this_process_has(needed: int, effective: int, handed_on: int | None) -> None:
    assert capability_at_hand(needed, effective) == handed_on


def test_an_ordinary_users_account_is_kept() -> None:
    assert Account().arguments == ["-1", "-1", "-1"]
