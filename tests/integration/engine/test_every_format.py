"""Whatever the format and the strategy: what is stored as a chunk is what its document's text holds at its span."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import sqlalchemy as sa

from ragindex_core.object.spec import ChunkingStrategy
from ragindex_db import revisions, schema

SAMPLES = Path(__file__).parents[2] / "samples"
EXPECTED_FAILURES = {"locked.pdf": "Encrypted", "scan.pdf": "NoText"}


def stored_chunks(engine: Any) -> list[Any]:
    chunk = engine.serving.tables.chunk
    with engine.database.begin() as connection:
        return list(
            connection.execute(
                sa.select(chunk, schema.documents.c.key, schema.contents.c.text.label("content"))
                .join(schema.documents, schema.documents.c.id == chunk.c.document_id)
                .join(schema.contents, schema.contents.c.id == chunk.c.content_id)
            )
        )


def page_texts(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    try:
        texts = []
        for page in document:
            textpage = page.get_textpage()
            texts.append("".join(textpage.get_text_range().split()))
            textpage.close()
            page.close()
        return texts
    finally:
        document.close()


@pytest.mark.parametrize("strategy", list(ChunkingStrategy))
def test_spans_are_true_for_every_format(engine: Any, strategy: ChunkingStrategy) -> None:
    shutil.copytree(SAMPLES, engine.files, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc", "__pycache__"))
    engine.edit(chunking={"strategy": strategy.value, "maxTokens": 120, "overlapTokens": 20})
    engine.settle()
    states = {key: (d.state, d.reason) for key, d in engine.documents().items()}
    assert {key: reason for key, (state, reason) in states.items() if state != "Indexed"} == EXPECTED_FAILURES
    chunks = stored_chunks(engine)
    assert {c.key for c in chunks} == set(states) - set(EXPECTED_FAILURES)
    for c in chunks:
        assert c.content[c.span_start : c.span_end] == c.text, (c.key, c.ordinal)


def test_pages_are_true(engine: Any) -> None:
    shutil.copy(SAMPLES / "handbook.pdf", engine.files)
    engine.edit(chunking={"maxTokens": 64, "overlapTokens": 0})
    engine.settle()
    pages = page_texts(SAMPLES / "handbook.pdf")
    chunks = stored_chunks(engine)
    assert {c.page for c in chunks} == set(range(1, len(pages) + 1))
    for c in chunks:
        there = "".join(pages[c.page - 1 : c.page_end])
        for word in c.text.split():
            assert word.strip("-") in there, (word, c.page, c.page_end)


def test_every_real_document_ends_as_its_manifest_expects(engine: Any, evaluation_data: Path) -> None:
    folder = evaluation_data / "documents"
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest:
        target = engine.files / entry["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / entry["file"], target)
    engine.settle()
    found = engine.documents()
    wanted = {"encrypted": "Encrypted", "no-text": "NoText", "empty": "Empty"}
    wrong = []
    for entry in manifest:
        document = found[entry["file"]]
        if entry["expect"] == "any-no-crash":
            right = document.state in ("Indexed", "Failed")
        elif entry["expect"] == "text":
            right = document.state == "Indexed" and document.chunks > 0
        else:
            right = (document.state, document.reason) == ("Failed", wanted[entry["expect"]])
        if not right:
            wrong.append((entry["file"], entry["expect"], document.state, document.reason, document.message))
    assert wrong == []
    assert len(found) == len(manifest)
    assert engine.condition("Ready") == ("True", "Serving")


def test_the_estimate_is_not_below_what_is_spent(engine: Any) -> None:
    shutil.copytree(SAMPLES, engine.files, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc", "__pycache__"))
    engine.write("leave.txt", "员工每年有二十五天带薪年假，未使用的假期在三月底到期。" * 40)
    engine.settle()
    first = engine.kept[0]
    spent = engine.database.run(revisions.counts, [first.id])[first.id].tokens
    assert spent <= first.estimated_tokens <= 5 * spent
    engine.edit(chunking={"maxTokens": 100, "overlapTokens": 20})
    engine.settle()
    second = engine.kept[1]
    spent = engine.database.run(revisions.counts, [second.id])[second.id].tokens
    assert spent <= second.estimated_tokens <= 5 * spent
