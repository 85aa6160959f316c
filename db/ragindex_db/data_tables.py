"""The tables of one revision: chunk text, and vectors apart from it. Schema ``ragindex_data``.

Names are generated from the revision's number in the catalogue and from nothing else. The operator makes and drops
them; everyone else finds them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import Column, Index, Table
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_db.keyword.tables import IN_PAGE, KeywordTables, keyword_tables
from ragindex_db.schema import DATA_SCHEMA

#: Halfvec holds 4,000 dimensions in an HNSW index, vector 2,000.
MOST_INDEXED_DIMENSIONS = {"HalfVector": 4000, "Vector": 2000}


@dataclass(frozen=True, slots=True)
class RevisionTables:
    revision_id: int
    dimensions: int
    element_type: str  # HalfVector | Vector
    metadata: sa.MetaData
    chunk: Table
    vector: Table
    keyword: KeywordTables

    @property
    def vector_index_name(self) -> str:
        return f"vector_{self.revision_id:d}_hnsw"


@lru_cache(maxsize=4096)
def revision_tables(revision_id: int, dimensions: int, element_type: str) -> RevisionTables:
    """The same objects for the same revision, so that compiled statements are found again."""
    metadata = sa.MetaData(schema=DATA_SCHEMA)
    return RevisionTables(
        revision_id=revision_id,
        dimensions=dimensions,
        element_type=element_type,
        metadata=metadata,
        chunk=_chunk_table(metadata, f"chunk_{revision_id:d}"),
        vector=_vector_table(metadata, f"vector_{revision_id:d}", embedding_type(dimensions, element_type)),
        keyword=keyword_tables(metadata, revision_id),
    )


def embedding_type(dimensions: int, element_type: str) -> sa.types.TypeEngine[Any]:
    return HALFVEC(dimensions) if element_type == "HalfVector" else VECTOR(dimensions)


def _chunk_table(metadata: sa.MetaData, name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        Column("document_id", sa.BigInteger, nullable=False),
        Column("namespace", sa.Text, nullable=False),
        Column("version", sa.Text, nullable=False),
        Column("content_id", sa.BigInteger, nullable=False),
        Column("ordinal", sa.Integer, nullable=False),
        Column("text", sa.Text, nullable=False),
        Column("context", sa.Text, nullable=False),
        Column("headings", ARRAY(sa.Text), nullable=False),
        Column("span_start", sa.Integer, nullable=False),
        Column("span_end", sa.Integer, nullable=False),
        Column("page", sa.Integer),
        Column("page_end", sa.Integer),
        Column("sheet", sa.Text),
        Column("cells", sa.Text),
        Column("start_ms", sa.BigInteger),
        Column("end_ms", sa.BigInteger),
        Column("speaker", sa.Text),
        Column("language", sa.Text),
        Column("modality", sa.Text, nullable=False, server_default="Text"),
        Column("level", sa.SmallInteger, nullable=False, server_default="0"),
        Column("parent", sa.BigInteger),
        Column("section", sa.BigInteger),
        Column("searchable", sa.Boolean, nullable=False, server_default=sa.true()),
        Column("tokens", sa.Integer, nullable=False),
        Column("access_groups", ARRAY(sa.Text)),
        Index(f"{name}_document_idx", "document_id", "ordinal"),
    )


def _vector_table(metadata: sa.MetaData, name: str, embedding: sa.types.TypeEngine[Any]) -> Table:
    """``sealed`` rows are in the HNSW index once it is built; the few others are searched exactly beside it."""
    return Table(
        name,
        metadata,
        Column("chunk_id", sa.BigInteger, primary_key=True),
        Column("document_id", sa.BigInteger, nullable=False),
        Column("sealed", sa.Boolean, nullable=False),
        Column("embedding", embedding, nullable=False),
        Index(f"{name}_document_idx", "document_id"),
        Index(f"{name}_unsealed_idx", "chunk_id", postgresql_where=sa.text("NOT sealed")),
        postgresql_with=IN_PAGE,
    )
