"""langchain-postgres: PGVectorStore over PostgreSQL with pgvector, by its synchronous methods."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_postgres import Column, PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex, HNSWQueryOptions
from pgvector.psycopg import register_vector
from psycopg.types.json import Json

from benchmarks.peers.given import SELECTED_KEY, SELECTED_VALUE, Given

_TABLE = "langchain_chunks"
_INDEX = "langchain_chunks_hnsw"
_COPY = (
    "COPY langchain_chunks (langchain_id, content, embedding, hundredth, langchain_metadata) FROM STDIN (FORMAT BINARY)"
)


class LangChain:
    """The key that is filtered by has a column of its own, which its documentation advises."""

    sample = 1_000

    def __init__(self, url: str, dimensions: int) -> None:
        self._url = url
        self._engine = PGEngine.from_connection_string(
            url.replace("postgresql://", "postgresql+psycopg://"), pool_size=8
        )
        self._embedder = DeterministicFakeEmbedding(size=dimensions)  # never asked: vectors are given
        self._dimensions = dimensions
        self._store: Any = None

    def load(self, given: Given, start: int, stop: int) -> None:
        self._engine.init_vectorstore_table(
            _TABLE, self._dimensions, metadata_columns=[Column(SELECTED_KEY, "integer")], overwrite_existing=True
        )
        self._open(None)
        rows = list(given.rows(start, stop))
        self._store.add_embeddings(
            texts=[row.text for row in rows],
            embeddings=[row.vector.tolist() for row in rows],
            metadatas=[row.metadata for row in rows],
            ids=[str(uuid.UUID(int=row.number)) for row in rows],
        )

    def load_rest(self, given: Given, start: int, stop: int) -> None:
        """As the library would have written them; it commits row by row, for minutes."""
        with psycopg.connect(self._url) as connection:
            register_vector(connection)
            with connection.cursor().copy(_COPY) as copy:
                copy.set_types(["uuid", "text", "vector", "int4", "json"])
                for row in given.rows(start, stop):
                    others = {key: value for key, value in row.metadata.items() if key != SELECTED_KEY}
                    key = uuid.UUID(int=row.number)
                    copy.write_row((key, row.text, row.vector, row.metadata[SELECTED_KEY], Json(others)))

    def _open(self, options: HNSWQueryOptions | None) -> None:
        self._store = PGVectorStore.create_sync(
            self._engine,
            self._embedder,
            _TABLE,
            metadata_columns=[SELECTED_KEY],
            distance_strategy=DistanceStrategy.COSINE_DISTANCE,
            index_query_options=options,
        )

    def build(self) -> None:
        self._store.apply_vector_index(HNSWIndex(name=_INDEX, m=16, ef_construction=128))
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("ANALYZE langchain_chunks")

    def disk_bytes(self) -> tuple[int, int]:
        return table_bytes(self._url, _TABLE, _INDEX)

    def ask_with(self, effort: int) -> None:
        self._open(HNSWQueryOptions(ef_search=effort))

    def search(self, vector: Any, k: int, *, selected: bool) -> list[int]:
        by = {SELECTED_KEY: SELECTED_VALUE} if selected else None
        found = self._store.similarity_search_with_score_by_vector(vector.tolist(), k=k, filter=by)
        return [uuid.UUID(document.id).int for document, _ in found]


def table_bytes(url: str, table: str, index: str) -> tuple[int, int]:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_total_relation_size(%s), pg_relation_size(%s)", (table, index)).fetchone()
    assert row is not None
    return row[0], row[1]


def opened(place: str, given: Given) -> LangChain:
    return LangChain(place, given.dimensions)
