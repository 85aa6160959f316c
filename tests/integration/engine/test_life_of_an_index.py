"""An index fills itself, follows its folder, changes its model under way and goes as its policy says."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ragindex_core.reconcile.situation import Limits
from ragindex_db import documents, revisions, schema


def rows_in_data_tables(engine: Any, document_id: int) -> int:
    """Rows about one document, over every kept revision's tables."""
    with engine.database.begin() as connection:
        found = 0
        for revision in revisions.list_kept(connection, engine.row.id):
            for table in revision.tables.metadata.sorted_tables:
                if "document_id" in table.c:
                    statement = sa.select(sa.func.count()).where(table.c.document_id == document_id)
                    found += connection.execute(statement).scalar_one()
        return found


def fill(engine: Any, count: int = 3) -> None:
    for n in range(count):
        engine.write(f"note-{n:03}.md", f"# Note {n}\n\nThe colour of number {n} is shade{n}.\n")


def test_a_new_index_fills_itself(engine: Any) -> None:
    fill(engine)
    engine.settle()
    found = engine.documents()
    assert {d.state for d in found.values()} == {"Indexed"}
    assert set(found) == {"note-000.md", "note-001.md", "note-002.md"}
    assert engine.serving.state == "Active"
    assert engine.condition("Ready") == ("True", "Serving")
    assert engine.condition("Progressing") == ("False", "UpToDate")


def test_a_second_sync_of_unchanged_files_embeds_nothing(engine: Any) -> None:
    fill(engine)
    engine.settle()
    before = engine.embedders.texts
    engine.sync()
    assert engine.embedders.texts == before


def test_a_touched_file_is_not_queued(engine: Any) -> None:
    fill(engine)
    engine.settle()
    change = engine.documents()["note-001.md"].indexed_at
    os.utime(engine.files / "note-001.md", (1, 1))
    engine.sync()
    assert engine.documents()["note-001.md"].indexed_at == change


def test_a_changed_file_is_taken_in_its_new_version(engine: Any) -> None:
    fill(engine)
    engine.settle()
    before = engine.documents()["note-001.md"]
    engine.write("note-001.md", "# Note 1\n\nSomething else altogether.\n")
    engine.sync()
    after = engine.documents()["note-001.md"]
    assert (after.id, after.state) == (before.id, "Indexed")
    assert after.version != before.version
    assert after.indexed_version == after.version


def test_a_deleted_file_is_gone_from_everywhere(engine: Any) -> None:
    fill(engine)
    engine.settle()
    document = engine.documents()["note-001.md"]
    assert rows_in_data_tables(engine, document.id) > 0
    (engine.files / "note-001.md").unlink()
    engine.sync()
    assert "note-001.md" not in engine.documents()
    assert rows_in_data_tables(engine, document.id) == 0
    proof = engine.database.run(documents.get, engine.row.id, document.id, None)
    assert proof.deleted_at is not None
    with engine.database.begin() as connection:
        cached = connection.execute(sa.select(sa.func.count()).select_from(schema.embedding_cache)).scalar_one()
    assert cached == 2


def cached(engine: Any) -> tuple[int, int]:
    with engine.database.begin() as connection:
        tables = (schema.embedding_cache, schema.embedding_uses)
        found = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables]
    return found[0], found[1]


def test_a_delete_reaches_the_embeddings_of_every_version_there_was(engine: Any) -> None:
    for text in ("First words.", "Second words.", "First words."):
        engine.write("a.md", f"# A\n\n{text}\n")
        engine.write("b.md", f"# B\n\nNothing to do with the other. {text}\n")
        engine.settle()
        engine.sync()
    assert cached(engine) == (4, 4)
    assert engine.embedders.texts == 4, "going back to an older version costs nothing"
    (engine.files / "a.md").unlink()
    engine.sync()
    assert cached(engine) == (2, 2)
    (engine.files / "b.md").unlink()
    engine.sync()
    engine.ask("accept-shrink", engine.row.status["ingestion"]["lastRun"])
    engine.settle()
    assert cached(engine) == (0, 0)


def test_a_delete_reaches_the_embeddings_of_a_dropped_revision(engine: Any) -> None:
    long = " ".join(f"Sentence number {n} says something of its own." for n in range(40))
    engine.write("a.md", f"# A\n\n{long}\n")
    engine.write("b.md", "# B\n\nStays.\n")
    engine.reconciler.limits = Limits(reader_cache=timedelta(0))
    engine.edit(rollout={"retainRevisions": 0})
    engine.settle()
    engine.edit(chunking={"maxTokens": 64, "overlapTokens": 0})
    engine.settle()
    assert len(engine.kept) == 1
    (engine.files / "a.md").unlink()
    engine.sync()
    assert cached(engine) == (1, 1)


def test_a_text_of_two_documents_stays_cached_with_the_other(engine: Any) -> None:
    for name in ("a.md", "b.md"):
        engine.write(name, "# Same\n\nThe very same words.\n")
    engine.settle()
    (engine.files / "a.md").unlink()
    engine.sync()
    assert cached(engine) == (1, 1)


def test_one_bad_document_stops_no_other(engine: Any) -> None:
    fill(engine)
    engine.write("broken.pdf", b"%PDF-1.7\nthis is no pdf at all")
    engine.settle()
    found = engine.documents()
    assert (found["broken.pdf"].state, found["broken.pdf"].reason) == ("Failed", "Corrupt")
    assert sum(d.state == "Indexed" for d in found.values()) == 3
    assert engine.condition("Ready") == ("True", "Serving")


def test_retry_failed_retries_only_those(engine: Any) -> None:
    fill(engine)
    engine.write("broken.pdf", b"%PDF-1.7\nthis is no pdf at all")
    engine.settle()
    before = engine.embedders.texts
    engine.ask("retry-failed", "once")
    engine.settle()
    assert engine.embedders.texts == before
    assert engine.documents()["broken.pdf"].attempts == 1
    assert engine.row.status["handled"]["retry-failed"]["value"] == "once"


def test_a_source_that_suddenly_lists_empty_deletes_nothing_until_accepted(engine: Any) -> None:
    fill(engine, 4)
    engine.settle()
    for path in engine.files.iterdir():
        path.unlink()
    engine.sync()
    assert len(engine.documents()) == 4
    assert engine.condition("Degraded") == ("True", "SourceShrunk")
    run = engine.row.status["ingestion"]["lastRun"]
    engine.ask("accept-shrink", run)
    engine.settle()
    assert engine.documents() == {}


def test_a_change_of_chunking_is_built_beside_the_live_one_and_promoted(engine: Any) -> None:
    fill(engine)
    engine.settle()
    first = engine.serving
    engine.edit(chunking={"maxTokens": 64, "overlapTokens": 8})
    engine.reconcile()
    assert engine.serving.id == first.id
    engine.settle()
    second = engine.serving
    assert second.id != first.id
    assert {r.id: r.state for r in engine.kept} == {first.id: "Retained", second.id: "Active"}


def test_an_unchanged_chunk_of_a_rechunked_document_costs_nothing(engine: Any) -> None:
    fill(engine)
    engine.settle()
    before = engine.embedders.texts
    engine.edit(chunking={"maxTokens": 200, "overlapTokens": 8})
    engine.settle()
    assert len(engine.kept) == 2
    assert engine.embedders.texts == before


def test_what_a_source_lost_and_the_spec_keeps_survives_a_change_of_chunking(engine: Any) -> None:
    text = (
        "# Kept\n\nThe first paragraph.\nIt has two lines.\n\nDie zweite ist kürzer: äöü 𝄞.\n\n"
        + "Another paragraph follows, with more words in it.\n\n" * 9
    )
    engine.write("kept.md", text)
    engine.write("kept.md.metadata.json", '{"metadataAttributes": {"year": 2026}}')
    fill(engine)
    engine.edit(ingestion={"onSourceDeletion": "Keep"})
    engine.settle()
    before = engine.documents()["kept.md"]
    (engine.files / "kept.md").unlink()
    (engine.files / "kept.md.metadata.json").unlink()
    engine.sync()
    engine.edit(chunking={"maxTokens": 32, "overlapTokens": 0})
    engine.settle()
    after = engine.documents()["kept.md"]
    assert engine.serving.number == 2
    assert (after.state, after.indexed_version) == ("Indexed", before.indexed_version)
    assert (after.title, after.metadata, after.language) == (before.title, before.metadata, before.language)
    with engine.database.begin() as connection:
        _, content = documents.content(connection, after.id, None, engine.serving.id)
        chunk = engine.serving.tables.chunk
        rows = connection.execute(
            sa.select(chunk.c.text, chunk.c.span_start, chunk.c.span_end).where(chunk.c.document_id == after.id)
        ).all()
    assert len(rows) > 1
    assert all(content[start:end] == cut for cut, start, end in rows)
    assert set("".join(content.split())) <= set("".join(row[0] for row in rows))


def groups_of(engine: Any) -> set[tuple[str, ...] | None]:
    """Of all documents, and of their chunks in every kept revision."""
    tables = [schema.documents, *(revision.tables.chunk for revision in engine.kept)]
    with engine.database.begin() as connection:
        rows = [connection.execute(sa.select(table.c.access_groups)).scalars().all() for table in tables]
    assert all(rows)
    return {None if groups is None else tuple(groups) for found in rows for groups in found}


def test_an_edit_of_access_reaches_every_chunk_and_embeds_nothing(engine: Any) -> None:
    fill(engine)
    sources = engine.document["spec"]["sources"]
    sources[0]["access"] = {"groups": ["hr"]}
    engine.settle()
    engine.edit(chunking={"maxTokens": 200, "overlapTokens": 8})
    engine.settle()
    assert len(engine.kept) == 2
    assert groups_of(engine) == {("hr",)}
    before = engine.embedders.texts
    sources[0]["access"] = {"groups": ["hr", "board"]}
    engine.edit(sources=sources)
    engine.settle()
    assert groups_of(engine) == {("hr", "board")}
    del sources[0]["access"]
    engine.edit(sources=sources)
    engine.settle()
    assert groups_of(engine) == {None}
    assert engine.embedders.texts == before


def test_rollback_switches_at_once_and_catches_up(engine: Any) -> None:
    fill(engine)
    engine.settle()
    first = engine.serving
    engine.edit(embedding={"provider": "OpenAI", "model": "other-words", "dimensions": 32})
    engine.settle()
    assert engine.serving.id != first.id
    (engine.files / "note-000.md").unlink()
    engine.write("note-new.md", "# New\n\nNobody of the old revision knows this.\n")
    engine.sync()
    engine.ask("rollback", f"r{first.number}")
    engine.reconcile()
    assert engine.serving.id == first.id
    assert "note-000.md" not in engine.documents()
    engine.settle()
    assert engine.serving.id == first.id, "a rollback holds until the key changes or promote is given"
    assert engine.documents()["note-new.md"].state == "Indexed"


def test_manual_promotion_waits_for_a_word(engine: Any) -> None:
    fill(engine)
    engine.edit(rollout={"promotion": "Manual"})
    engine.settle()
    first = engine.serving
    assert first.state == "Active", "the first revision needs no word"
    engine.edit(chunking={"maxTokens": 64, "overlapTokens": 8})
    engine.settle()
    assert engine.serving.id == first.id
    assert engine.row.status["pendingRevision"]["id"] == "r2"
    engine.ask("promote", "r2")
    engine.settle()
    assert engine.serving.number == 2


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_deletion_follows_the_policy(engine: Any, policy: str) -> None:
    from datetime import UTC, datetime

    fill(engine)
    engine.edit(deletionPolicy=policy)
    engine.settle()
    tables = engine.serving.tables
    engine.document["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
    engine.reconcile()
    assert engine.released
    with engine.database.begin() as connection:
        there = sa.inspect(connection).has_table(tables.chunk.name, schema=tables.chunk.schema)
        live = connection.execute(sa.select(schema.indexes.c.retained_at)).scalars().all()
    assert there == (policy == "Retain")
    assert (live == []) == (policy == "Delete")
    assert None not in live


def test_suspend_stops_ingestion_and_nothing_else(engine: Any) -> None:
    fill(engine)
    engine.settle()
    engine.edit(suspend=True)
    engine.write("late.md", "# Late\n\nComes while suspended.\n")
    engine.sync()
    assert "late.md" not in engine.documents()
    assert engine.condition("Ready") == ("True", "Serving")
    engine.edit(suspend=False)
    engine.settle()
    assert engine.documents()["late.md"].state == "Indexed"
