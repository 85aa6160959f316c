"""A revision's keyword tables, and an oracle that ranks by the definition."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from ragindex_core import bm25
from ragindex_core.analysis import KeywordQuery
from ragindex_db import keyword
from ragindex_db.engine import Database
from ragindex_db.keyword import ChunkTerms, Hit, KeywordTables

_revisions = itertools.count(1)


def words(*terms: str) -> KeywordQuery:
    return KeywordQuery(tuple((term,) for term in terms))


def chunk(chunk_id: int, document_id: int, text: Sequence[str]) -> ChunkTerms:
    return ChunkTerms(chunk_id, document_id, len(text), Counter(text), list(text))


@dataclass
class Revision:
    """Writes to the database and remembers what was written."""

    database: Database
    tables: KeywordTables
    written: dict[int, ChunkTerms] = field(default_factory=dict)
    live: set[int] = field(default_factory=set)

    def write(self, *chunks: ChunkTerms) -> None:
        self.database.run(keyword.write, self.tables, chunks)
        self.written.update({one.chunk_id: one for one in chunks})
        self.live.update(one.chunk_id for one in chunks)

    def delete_document(self, document_id: int) -> None:
        self.database.run(keyword.delete_documents, self.tables, [document_id])
        self.live -= {one.chunk_id for one in self.written.values() if one.document_id == document_id}

    def seal(self, minimum: int = 1) -> None:
        while not self.database.run(keyword.seal, self.tables, minimum).idle:
            pass

    def search(self, query: KeywordQuery, limit: int = 10, within: sa.Select[tuple[int]] | None = None) -> list[Hit]:
        return self.database.run(keyword.search, self.tables, query, limit, within)

    def found(self, query: KeywordQuery, limit: int = 10, within: sa.Select[tuple[int]] | None = None) -> list[int]:
        return [hit.chunk_id for hit in self.search(query, limit, within)]

    def expected(self, query: KeywordQuery, limit: int, documents: set[int] | None = None) -> list[Hit]:
        """By the definition, over what the statistics count: live chunks, and dead ones until their segment is new."""
        with self.database.begin() as connection:
            sealed = connection.execute(sa.select(sa.func.unnest(self.tables.segment.c.chunks))).scalars()
            counted = [self.written[chunk_id] for chunk_id in self.live.union(sealed)]
            average = keyword.statistics(connection, self.tables).average_length
        idfs = [bm25.idf(len(counted), sum(term in one.terms for one in counted)) for term in query.terms]
        hits = []
        for chunk_id in self.live:
            one = self.written[chunk_id]
            present = [(w, one.terms[t]) for w, t in zip(idfs, query.terms, strict=True) if t in one.terms]
            if present and (documents is None or one.document_id in documents):
                hits.append(Hit(chunk_id, bm25.score(present, one.length, average)))
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]


def new_revision(database: Database) -> Revision:
    metadata = sa.MetaData()
    tables = keyword.keyword_tables(metadata, next(_revisions))
    metadata.create_all(database.engine)
    return Revision(database, tables)


@pytest.fixture
def revision(database: Database) -> Revision:
    return new_revision(database)
