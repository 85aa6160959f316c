"""The tables of one revision: chunk text, and vectors apart from it. Schema ``ragindex_data``.

Names are generated from the revision's number in the catalogue and from nothing else. The operator makes and drops
them; everyone else finds them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import Column, Index, Table
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_db.keyword.tables import IN_PAGE, KeywordTables, keyword_table_names, keyword_tables
from ragindex_db.schema import DATA_SCHEMA

#: Halfvec holds 4,000 dimensions in an HNSW index, vector 2,000.
MOST_INDEXED_DIMENSIONS = {"HalfVector": 4000, "Vector": 2000}


@dataclass(frozen=True)
class RevisionTables:
    """The tables are described when the first of them is asked for: that takes time and 200 KiB of memory, and who
    looks after hundreds of indexes mostly wants their names."""

    revision_id: int
    dimensions: int
    element_type: str  # HalfVector | Vector

    @property
    def names(self) -> tuple[str, ...]:
        """Of all its tables, without the schema."""
        return (self._chunk_name, self._vector_name, *keyword_table_names(self.revision_id))

    @property
    def vector_index_name(self) -> str:
        return f"vector_{self.revision_id:d}_hnsw"

    @cached_property
    def metadata(self) -> sa.MetaData:
        metadata = sa.MetaData(schema=DATA_SCHEMA)
        _chunk_table(metadata, self._chunk_name)
        _vector_table(metadata, self._vector_name, embedding_type(self.dimensions, self.element_type))
        keyword_tables(metadata, self.revision_id)
        return metadata

    @cached_property
    def chunk(self) -> Table:
        return self.metadata.tables[f"{DATA_SCHEMA}.{self._chunk_name}"]

    @cached_property
    def vector(self) -> Table:
        return self.metadata.tables[f"{DATA_SCHEMA}.{self._vector_name}"]

    @cached_property
    def keyword(self) -> KeywordTables:
        return keyword_tables(self.metadata, self.revision_id)

    @property
    def _chunk_name(self) -> str:
        return f"chunk_{self.revision_id:d}"

    @property
    def _vector_name(self) -> str:
        return f"vector_{self.revision_id:d}"


@lru_cache(maxsize=4096)
def revision_tables(revision_id: int, dimensions: int, element_type: str) -> RevisionTables:
    """The same objects for the same revision, so that compiled statements are found again."""
    return RevisionTables(revision_id, dimensions, element_type)


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
        Column("chunk_id", sa.BigInteger, primary_key=True, autoincrement=False),
        Column("document_id", sa.BigInteger, nullable=False),
        Column("sealed", sa.Boolean, nullable=False),
        Column("embedding", embedding, nullable=False),
        Index(f"{name}_document_idx", "document_id"),
        Index(f"{name}_unsealed_idx", "chunk_id", postgresql_where=sa.text("NOT sealed")),
        postgresql_with=IN_PAGE,
    )
