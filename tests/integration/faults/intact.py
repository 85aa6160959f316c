"""Whether everything of a revision is there once and nothing else is: documents, chunks, vectors, terms, postings."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa

from ragindex_db import keyword, schema
from ragindex_db.engine import Connection, Database
from ragindex_db.revisions import RevisionRow


def check_intact(database: Database, revision: RevisionRow, documents: int) -> int:
    """Gives the number of chunks."""
    tables, rd = revision.tables, schema.revision_documents
    while not database.run(keyword.seal, tables.keyword, 1).idle:
        pass
    with database.begin() as connection:

        def pairs(statement: Any) -> dict[Any, Any]:
            return {row[0]: row[1] for row in connection.execute(statement)}

        def ids(column: Any) -> list[int]:
            return list(connection.execute(sa.select(column)).scalars())

        states = pairs(sa.select(rd.c.state, sa.func.count()).group_by(rd.c.state))
        assert states == {"Indexed": documents}
        there = sa.select(schema.documents.c.key).where(schema.documents.c.deleted_at.is_(None))
        keys = list(connection.execute(there).scalars())
        assert len(keys) == len(set(keys)) == documents, "each document is in the catalogue once"
        told = pairs(sa.select(rd.c.document_id, rd.c.chunks))
        counted = pairs(sa.select(tables.chunk.c.document_id, sa.func.count()).group_by(tables.chunk.c.document_id))
        assert counted == told, "no chunk is missing, doubled or orphaned"
        contents = ids(schema.contents.c.document_id)
        assert sorted(contents) == sorted(told), "one text a document"
        chunks = connection.execute(
            sa.select(tables.chunk.c.id).where(tables.chunk.c.searchable).order_by(tables.chunk.c.id)
        )
        searchable = list(chunks.scalars())
        assert sorted(ids(tables.vector.c.chunk_id)) == searchable, "one vector a chunk"
        assert sorted(ids(tables.keyword.terms.c.chunk_id)) == searchable, "one row of terms a chunk"
        _check_postings(connection, tables.keyword)
    return len(searchable)


def _check_postings(connection: Connection, tables: keyword.KeywordTables) -> None:
    """Each chunk has one slot of one segment, and in it an impact for each of its terms; slots of chunks that are gone
    are known to be dead."""
    assert not connection.execute(sa.select(tables.head.c.chunk_id)).all(), "all is sealed"
    assert not connection.execute(sa.select(tables.removed.c.chunk_id)).all(), "all that is gone is counted"
    terms = {
        row[0]: set(row[1]) for row in connection.execute(sa.select(tables.terms.c.chunk_id, tables.terms.c.terms))
    }
    segments = {row.segment_id: row for row in connection.execute(sa.select(tables.segment))}
    slots = Counter(chunk for segment in segments.values() for chunk in segment.chunks)
    assert dict.fromkeys(terms, 1) == {chunk: n for chunk, n in slots.items() if chunk in terms}
    dead = sum(segment.dead for segment in segments.values())
    assert dead == sum(n for chunk, n in slots.items() if chunk not in terms), "no slot is orphaned"
    posted: dict[int, set[int]] = {chunk: set() for chunk in slots}
    rows = sa.select(
        tables.posting.c.segment_id, tables.posting.c.terms, sa.cast(tables.posting.c.impacts, sa.ARRAY(sa.Text))
    )
    for segment_id, term_ids, impacts in connection.execute(rows):
        assert segment_id in segments, "no posting is orphaned"
        for term, impact in zip(term_ids, impacts, strict=True):
            for slot in _indices(impact):
                posted[segments[segment_id].chunks[slot - 1]].add(term)
    assert {chunk: posted[chunk] for chunk in terms} == terms, "every term is posted, and no other"


def _indices(sparse: str) -> list[int]:
    """Of ``{1:0.5,7:2}/960``."""
    inner = sparse[1 : sparse.index("}")]
    return [int(pair.partition(":")[0]) for pair in inner.split(",") if pair]
