"""llama-index-vector-stores-postgres: PGVectorStore over PostgreSQL with pgvector, half precision, HNSW."""

from __future__ import annotations

from typing import Any

import psycopg
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from llama_index.vector_stores.postgres import PGVectorStore
from pgvector.psycopg import HalfVector, register_vector  # type: ignore[attr-defined]  # of another version
from psycopg.types.json import Jsonb

from benchmarks.peers.given import SELECTED_KEY, SELECTED_VALUE, Given, Row
from benchmarks.peers.subjects.langchain import table_bytes

_NAME = "llama"
_TABLE = "data_llama"  # its makers put "data_" before the name
_INDEX = "data_llama_embedding_idx"
_COPY = "COPY data_llama (text, metadata_, node_id, embedding) FROM STDIN (FORMAT BINARY)"
_FILTERS = MetadataFilters(filters=[MetadataFilter(key=SELECTED_KEY, value=SELECTED_VALUE)])
_BATCH = 1_000


class LlamaIndex:
    """The key that is filtered by is indexed by the store's own means."""

    sample = 5_000

    def __init__(self, url: str, dimensions: int) -> None:
        self._url = url
        self._dimensions = dimensions
        self._store: Any = None

    def _open(self, hnsw: dict[str, Any] | None) -> None:
        self._store = PGVectorStore(
            connection_string=self._url.replace("postgresql://", "postgresql+psycopg2://"),
            async_connection_string=self._url.replace("postgresql://", "postgresql+asyncpg://"),
            table_name=_NAME,
            embed_dim=self._dimensions,
            hnsw_kwargs=hnsw,
            use_halfvec=True,
            use_jsonb=True,
            indexed_metadata_keys={(SELECTED_KEY, "float")},
            create_engine_kwargs={"pool_size": 8},
            initialization_fail_on_error=True,
        )

    def load(self, given: Given, start: int, stop: int) -> None:
        self._open(None)
        for first in range(start, stop, _BATCH):
            self._store.add([_node(row) for row in given.rows(first, min(first + _BATCH, stop))])

    def load_rest(self, given: Given, start: int, stop: int) -> None:
        """As the store would have written them, which takes it minutes."""
        with psycopg.connect(self._url) as connection:
            register_vector(connection)
            with connection.cursor().copy(_COPY) as copy:
                copy.set_types(["text", "jsonb", "text", "halfvec"])
                for row in given.rows(start, stop):
                    metadata = node_to_metadata_dict(_node(row), remove_text=True, flat_metadata=False)
                    copy.write_row((row.text, Jsonb(metadata), str(row.number), HalfVector(row.vector)))

    def build(self) -> None:
        self._open(_hnsw(40))
        self._store._initialize()
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("ANALYZE data_llama")

    def disk_bytes(self) -> tuple[int, int]:
        return table_bytes(self._url, _TABLE, _INDEX)

    def ask_with(self, effort: int) -> None:
        self._open(_hnsw(effort))

    def search(self, vector: Any, k: int, *, selected: bool) -> list[int]:
        asked = VectorStoreQuery(
            query_embedding=vector.tolist(), similarity_top_k=k, filters=_FILTERS if selected else None
        )
        return [int(number) for number in self._store.query(asked).ids]


def _hnsw(effort: int) -> dict[str, Any]:
    return {
        "hnsw_m": 16,
        "hnsw_ef_construction": 128,
        "hnsw_ef_search": effort,
        "hnsw_dist_method": "halfvec_cosine_ops",
    }


def _node(row: Row) -> TextNode:
    return TextNode(id_=str(row.number), text=row.text, metadata=row.metadata, embedding=row.vector.tolist())


def opened(place: str, given: Given) -> LlamaIndex:
    return LlamaIndex(place, given.dimensions)
