"""The embedding cache gives back what was stored, forgets what nobody refers to, and keeps to its size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from ragindex_core.ports import SourceObject
from ragindex_db import cache, documents, indexes, schema
from ragindex_db.engine import Connection, Database


def an_index(connection: Connection) -> int:
    connection.execute(sa.insert(schema.installations).values(id="test"))
    row = indexes.register(
        connection,
        installation="test",
        uid="00000000-0000-0000-0000-000000000001",
        namespace="default",
        name="notes",
        generation=1,
        object_metadata={},
        spec={},
        knowledge_base_id="ABCDEFGHIJ",
        base_path=None,
        suspended=False,
    )
    return row.id


def a_key(text: str, **other: object) -> bytes:
    given = {
        "provider": "Local",
        "model": "m",
        "dimensions": 4,
        "element_type": "HalfVector",
        "input_type": "Passage",
        **other,
    }
    return cache.key(text, **given)  # type: ignore[arg-type]


def test_a_key_tells_every_input_apart() -> None:
    keys = {
        a_key("a"),
        a_key("b"),
        a_key("a", model="n"),
        a_key("a", provider="OpenAI"),
        a_key("a", dimensions=8),
        a_key("a", element_type="Vector"),
        a_key("a", input_type="Query"),
    }
    assert len(keys) == 7


def a_document(connection: Connection, index_id: int, key: str = "a.md") -> int:
    listed = documents.Listed(SourceObject(key=key, uri=f"file:///{key}", version="1", size=1))
    return documents.add(connection, index_id, "default", "files", [listed])[0]


def count(database: Database, table: sa.Table) -> int:
    with database.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_what_was_stored_comes_back(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        vector = np.array([0.5, -1.25, 3.0, 1e-8], dtype=np.float32)
        document = a_document(connection, index_id)
        cache.store(connection, index_id, {a_key("a"): vector}, {document: [a_key("a")]})
        found = cache.lookup(connection, index_id, [a_key("a"), a_key("b")])
    assert list(found) == [a_key("a")]
    assert found[a_key("a")].tolist() == vector.tolist()


def test_the_least_recently_used_go_first_and_only_as_many_as_must(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        vector = np.zeros(384, dtype=np.float32)
        document = a_document(connection, index_id)
        for age in range(10):
            cache.store(connection, index_id, {a_key(f"text {age}"): vector}, {document: [a_key(f"text {age}")]})
            connection.execute(
                sa.update(schema.embedding_cache)
                .where(schema.embedding_cache.c.key == a_key(f"text {age}"))
                .values(last_used_at=sa.func.now() - timedelta(days=age))
            )
        entry = 384 * 4 + 100
        removed = cache.trim(connection, 6 * entry)
        left = cache.lookup(connection, index_id, [a_key(f"text {age}") for age in range(10)])
        again = cache.trim(connection, 6 * entry)
    assert removed == 4
    assert set(left) == {a_key(f"text {age}") for age in range(6)}
    assert again == 0
    assert count(database, schema.embedding_uses) == 6


def test_an_entry_goes_with_the_last_document_whose_text_it_was_made_from(database: Database) -> None:
    vector = np.zeros(4, dtype=np.float32)
    with database.begin() as connection:
        index_id = an_index(connection)
        first, second = (a_document(connection, index_id, key) for key in ("a.md", "b.md"))
        cache.store(
            connection, index_id, {a_key("both"): vector, a_key("one"): vector}, {first: [a_key("both"), a_key("one")]}
        )
        cache.note_uses(connection, index_id, {second: [a_key("both")]})
    database.run(documents.delete, index_id, [first])
    with database.begin() as connection:
        assert set(cache.lookup(connection, index_id, [a_key("both"), a_key("one")])) == {a_key("both")}
    database.run(documents.delete, index_id, [second])
    assert (count(database, schema.embedding_cache), count(database, schema.embedding_uses)) == (0, 0)


def test_two_deletes_at_once_leave_nothing_of_a_text_that_both_documents_held(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        both = [a_document(connection, index_id, f"{n}.md") for n in range(2)]
        cache.store(
            connection,
            index_id,
            {a_key("both"): np.zeros(4, dtype=np.float32)},
            {document: [a_key("both")] for document in both},
        )
    with ThreadPoolExecutor(1) as other:
        with database.begin() as connection:
            documents.delete(connection, index_id, both[:1])
            second = other.submit(database.run, documents.delete, index_id, both[1:])
            with pytest.raises(TimeoutError):
                second.result(0.3)  # it waits at the entry for what becomes of the first
        second.result(10)
    assert (count(database, schema.embedding_cache), count(database, schema.embedding_uses)) == (0, 0)


def test_what_was_embedded_for_a_document_that_was_deleted_meanwhile_is_not_kept(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        document = a_document(connection, index_id)
    database.run(documents.delete, index_id, [document])
    vectors = {a_key("a"): np.zeros(4, dtype=np.float32)}
    database.run(cache.store, index_id, vectors, {document: [a_key("a")]})
    assert (count(database, schema.embedding_cache), count(database, schema.embedding_uses)) == (0, 0)
