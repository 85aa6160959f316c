"""An index with one revision, written by plain inserts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from ragindex_core.object.spec import RetrievalMode
from ragindex_db import keyword, schema
from ragindex_db.data_tables import RevisionTables, revision_tables
from ragindex_db.engine import Database
from ragindex_db.search import SearchRequest, replace_document_metadata

DIMENSIONS = 32


@dataclass
class Corpus:
    """Vectors are kept here too, so that a test can find the nearest by itself."""

    database: Database
    index_id: int
    tables: RevisionTables
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    document_of: dict[int, int] = field(default_factory=dict)
    metadata: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def add_document(self, connection: Connection, metadata: Mapping[str, Any] | None = None, **columns: Any) -> int:
        number = len(self.metadata) + 1
        values: dict[str, Any] = {
            "index_id": self.index_id,
            "namespace": "tests",
            "source": "docs",
            "key": f"{number}.txt",
            "uri": f"file:///docs/{number}.txt",
            "source_version": "1",
            "metadata": dict(metadata or {}),
        }
        insert = sa.insert(schema.documents).values(values | columns).returning(schema.documents.c.id)
        document_id: int = connection.execute(insert).scalar_one()
        replace_document_metadata(connection, self.index_id, {document_id: metadata or {}})
        self.metadata[document_id] = metadata or {}
        return document_id

    def add_chunks(
        self,
        connection: Connection,
        document_id: int,
        vectors: Sequence[NDArray[np.float32] | None],
        *,
        sealed: bool = True,
        texts: Sequence[str] | None = None,
        rows: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[int]:
        """One chunk a vector; a chunk without one is not searchable."""
        values = []
        for ordinal, vector in enumerate(vectors):
            text = texts[ordinal] if texts else f"chunk {ordinal}"
            row = {
                "document_id": document_id,
                "namespace": "tests",
                "version": "v1",
                "content_id": 1,
                "ordinal": ordinal,
                "text": text,
                "context": "",
                "headings": [],
                "span_start": ordinal * 100,
                "span_end": ordinal * 100 + len(text),
                "page": None,
                "section": None,
                "level": 0,
                "searchable": vector is not None,
                "tokens": 1,
            }
            values.append(row | dict(rows[ordinal] if rows else {}))
        insert = sa.insert(self.tables.chunk).returning(self.tables.chunk.c.id, sort_by_parameter_order=True)
        ids = list(connection.execute(insert, values).scalars())
        with_vectors = [(i, vector) for i, vector in zip(ids, vectors, strict=True) if vector is not None]
        if with_vectors:
            connection.execute(
                sa.insert(self.tables.vector),
                [
                    {
                        "chunk_id": chunk_id,
                        "document_id": document_id,
                        "sealed": sealed,
                        "embedding": vector,
                    }
                    for chunk_id, vector in with_vectors
                ],
            )
        for chunk_id, vector in with_vectors:
            self.vectors[chunk_id] = np.asarray(vector, dtype=np.float16).astype(np.float32)
            self.document_of[chunk_id] = document_id
        if texts:
            by_id = dict(zip(ids, texts, strict=True))
            keyword.write(connection, self.tables.keyword, [_terms(document_id, i, by_id[i]) for i, _ in with_vectors])
        return ids

    def fill(
        self, documents: int, chunks: int, *, seed: int = 0, sealed: bool = True, **metadata: Callable[[int], Any]
    ) -> None:
        """``documents`` with ``chunks`` each, around a few centres as embeddings are."""
        random = np.random.default_rng(seed)
        centres = random.normal(size=(20, DIMENSIONS))
        with self.database.begin() as connection:
            for number in range(documents):
                made = {key: make(number) for key, make in metadata.items()}
                document_id = self.add_document(connection, made)
                near = centres[random.integers(20, size=chunks)] + random.normal(size=(chunks, DIMENSIONS)) * 0.7
                self.add_chunks(connection, document_id, list(near.astype(np.float32)), sealed=sealed)
        self.analyse()

    def analyse(self) -> None:
        with self.database.autocommit() as connection:
            connection.execute(sa.text("ANALYZE"))

    def nearest(self, query: NDArray[np.float32], limit: int, documents: set[int] | None = None) -> list[int]:
        """Ids of the nearest chunks, found one by one."""
        ids = [i for i in self.vectors if documents is None or self.document_of[i] in documents]
        unit = query / np.linalg.norm(query)
        scored = [(-float(self.vectors[i] @ unit / np.linalg.norm(self.vectors[i])), i) for i in ids]
        return [i for _, i in sorted(scored)[:limit]]

    def request(self, **changes: Any) -> SearchRequest:
        values: dict[str, Any] = {
            "index_id": self.index_id,
            "tables": self.tables,
            "mode": RetrievalMode.VECTOR,
            "top_k": 10,
        }
        return SearchRequest(**values | changes)


def _terms(document_id: int, chunk_id: int, text: str) -> keyword.ChunkTerms:
    words = text.split()
    return keyword.ChunkTerms(
        chunk_id=chunk_id,
        document_id=document_id,
        length=len(words),
        terms={word: words.count(word) for word in words},
    )


@pytest.fixture
def corpus(database: Database) -> Corpus:
    tables = revision_tables(1, DIMENSIONS, "HalfVector")
    with database.begin() as connection:
        connection.execute(sa.insert(schema.installations).values(id="tests"))
        insert = sa.insert(schema.indexes).values(
            installation_id="tests",
            uid="00000000-0000-0000-0000-000000000001",
            namespace="tests",
            name="docs",
            generation=1,
            spec={},
            knowledge_base_id="0123456789",
        )
        index_id = connection.execute(insert.returning(schema.indexes.c.id)).scalar_one()
        tables.metadata.create_all(connection)
    return Corpus(database, index_id, tables)


@pytest.fixture
def query() -> NDArray[np.float32]:
    return np.random.default_rng(99).normal(size=DIMENSIONS).astype(np.float32)
