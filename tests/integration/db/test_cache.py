"""The embedding cache gives back what was stored, forgets what nobody refers to, and keeps to its size."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import sqlalchemy as sa

from ragindex_db import cache, indexes, schema
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
    given = {"provider": "Local", "model": "m", "dimensions": 4, "input_type": "Passage", **other}
    return cache.key(text, **given)  # type: ignore[arg-type]


def test_a_key_tells_every_input_apart() -> None:
    keys = {
        a_key("a"),
        a_key("b"),
        a_key("a", model="n"),
        a_key("a", provider="OpenAI"),
        a_key("a", dimensions=8),
        a_key("a", input_type="Query"),
    }
    assert len(keys) == 6


def test_what_was_stored_comes_back(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        vector = np.array([0.5, -1.25, 3.0, 1e-8], dtype=np.float32)
        cache.store(connection, index_id, {a_key("a"): vector})
        found = cache.lookup(connection, index_id, [a_key("a"), a_key("b")])
    assert list(found) == [a_key("a")]
    assert found[a_key("a")].tolist() == vector.tolist()


def test_the_least_recently_used_go_first_and_only_as_many_as_must(database: Database) -> None:
    with database.begin() as connection:
        index_id = an_index(connection)
        vector = np.zeros(384, dtype=np.float32)
        for age in range(10):
            cache.store(connection, index_id, {a_key(f"text {age}"): vector})
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
