"""The pages made from the code say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from ragindex_api.settings import ApiEnvironment, ApiSettings
from ragindex_core.object import reference as object_reference
from ragindex_local.cli import reference as cli_reference
from ragindex_local.up import LocalEnvironment
from ragindex_local.worker_process import WorkerEnvironment

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


def test_every_variable_is_described() -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    for environment in (LocalEnvironment, ApiEnvironment, WorkerEnvironment):
        for name in environment.model_fields.keys() - {"api", "otlp_endpoint"}:
            assert f"`RAGINDEX_{name.upper()}`" in page, name
    # What is left out cannot be set to any use: one follows from another variable, one is part of the API's contract.
    for name in ApiSettings.model_fields.keys() - {"tracing"}:
        assert f"| `{name.upper()}` |" in page, name


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md"), *DOCS.parent.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not target.startswith(("http:", "https:")):
                assert (page.parent / target).exists(), f"{page}: {target}"
