"""Real files, sound, scanned, locked and broken, each as its manifest expects, through one sandbox."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragindex_core.document import DocumentReason, ParsedDocument
from ragindex_core.errors import DocumentRejected
from ragindex_worker.parsing.sandbox import Sandbox

DATA = Path(os.environ.get("RAGINDEX_DATA") or Path(__file__).parents[4] / "shared" / "data") / "documents"
MANIFEST = DATA / "manifest.json"
ENTRIES: list[dict[str, Any]] = json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.exists() else []
REASONS = {
    "encrypted": DocumentReason.ENCRYPTED,
    "no-text": DocumentReason.NO_TEXT,
    "empty": DocumentReason.EMPTY,
}
WORD = re.compile(r"\w+")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not ENTRIES, reason=f"the evaluation data is not at {DATA}; set RAGINDEX_DATA to where it is"),
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_a_document_ends_as_expected(entry: dict[str, Any], sandbox: Sandbox) -> None:
    found = outcome(sandbox, entry)
    if entry["expect"] == "text":
        assert isinstance(found, ParsedDocument), found
        assert sum(1 for c in found.text if c.isalnum()) > 5
    elif entry["expect"] in REASONS:
        assert found is REASONS[entry["expect"]]
    else:
        assert entry["expect"] == "any-no-crash"
        assert found is not DocumentReason.INTERNAL


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.get("gold")], ids=lambda entry: entry["file"])
def test_the_words_are_those_a_person_reads(entry: dict[str, Any], sandbox: Sandbox) -> None:
    found = outcome(sandbox, entry)
    assert isinstance(found, ParsedDocument)
    ours, gold = words(found.text), words((DATA / entry["gold"]).read_text("utf-8"))
    assert (ours & gold).total() >= 0.95 * gold.total()


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES if entry["file"].lower().endswith(".pdf") and entry["expect"] == "text"],
    ids=lambda entry: entry["file"],
)
def test_pages_are_in_order_and_within_the_file(entry: dict[str, Any], sandbox: Sandbox) -> None:
    found = outcome(sandbox, entry)
    assert isinstance(found, ParsedDocument)
    pages = [block.location.page or 0 for block in found.blocks]
    count = found.metadata["pages"]
    assert isinstance(count, int)
    assert pages == sorted(pages)
    assert pages[0] >= 1
    assert pages[-1] <= count


def outcome(sandbox: Sandbox, entry: dict[str, Any]) -> ParsedDocument | DocumentReason:
    try:
        return sandbox.parse(DATA / entry["file"], entry["file"])
    except DocumentRejected as rejection:
        return rejection.reason


def words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))
