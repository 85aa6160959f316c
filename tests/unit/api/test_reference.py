"""The description of the service: complete, without anything from elsewhere, and the same in ``docs/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragindex_api.app import create_app
from ragindex_api.outline import operations
from ragindex_api.page import page
from ragindex_api.reference import reference
from ragindex_api.services import Services
from ragindex_api.settings import ApiSettings
from ragindex_core.errors import Unavailable
from ragindex_db.engine import AsyncDatabase, DatabaseSettings

ROOT = Path(__file__).parents[3]


def nothing(_choice: object) -> Any:
    raise Unavailable("nothing is asked here")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    database = AsyncDatabase(DatabaseSettings(url="postgresql://localhost/none"))
    return create_app(Services(database, "default", nothing, nothing), ApiSettings()).openapi()


def test_the_reference_in_docs_is_what_the_code_says(document: dict[str, Any]) -> None:
    written = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert written == reference(document), "run: python -m ragindex_api.reference > docs/api.md"


def test_every_operation_says_how_it_can_fail(document: dict[str, Any]) -> None:
    for operation in operations(document):
        statuses = {reply.status for reply in operation.replies}
        assert {"422", "500", "503"} <= statuses, operation.path
        failures = [reply for reply in operation.replies if reply.status >= "400"]
        assert all(reply.media_types == ("application/problem+json",) for reply in failures)
        assert operation.summary


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(value) for value in node.values()))
        return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()

    assert references(document) <= known


def test_the_page_names_every_path(document: dict[str, Any]) -> None:
    shown = page(document)
    assert all(path in shown for path in document["paths"])
    assert "<script" not in shown
