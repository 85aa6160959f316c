"""The pages made from the code say what the code says."""

from __future__ import annotations

from pathlib import Path

from ragindex_core.object import reference as object_reference
from ragindex_local.cli import reference as cli_reference

DOCS = Path(__file__).parents[4] / "docs"


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    again = "python -m ragindex_local.cli.reference > docs/cli.md"
    assert (DOCS / "cli.md").read_text("utf-8") == cli_reference.reference(), again


def test_the_page_of_the_object_is_up_to_date() -> None:
    again = "python -m ragindex_core.object.reference > docs/ragindex-object.md"
    assert (DOCS / "ragindex-object.md").read_text("utf-8") == object_reference.reference(), again


def test_every_field_and_every_command_is_described() -> None:
    for page in ("cli.md", "ragindex-object.md"):
        for line in (DOCS / page).read_text("utf-8").splitlines():
            assert not line.endswith("|  |"), f"{page}: {line}"
