"""Where a revision keeps what its keyword arm knows.

A chunk's terms are written once, to ``terms``, and never changed. Everything else serves speed:

- ``head`` names the chunks that no segment holds yet; they are scored one by one.
- ``segment`` gives up to 960 chunks a slot each; ``posting`` holds, for each term of a segment, a sparse vector with
  the term's impact in each slot, so that scoring 960 chunks is a vector addition. Terms share a row with their
  neighbours in the order of their ids: most are rare, and a row of its own for each would be mostly header.
- ``removed`` tells the sealer which chunks are gone. Searching needs no such list: a chunk without
  ``terms`` is not found.

Writers only ever insert into ``terms``, ``head`` and ``removed`` and delete from ``terms``, by their own chunks; only
the sealer, one at a time, touches the rest. So writers neither wait for each other nor for the sealer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import SPARSEVEC
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

SCHEMA = "ragindex_data"

#: Slots of a segment: a term that fills all of them takes a row of some 7,800 bytes, which fits a page.
SEGMENT_SLOTS = 960

# Rows that fit a page stay in it as they are: fetching a part from elsewhere costs more than scoring with it.
IN_PAGE = {"toast_tuple_target": 8160}


@dataclass(frozen=True, slots=True)
class KeywordTables:
    """The tables of one revision's keyword arm."""

    revision_id: int
    terms: sa.Table
    head: sa.Table
    removed: sa.Table
    segment: sa.Table
    posting: sa.Table

    @property
    def all(self) -> tuple[sa.Table, ...]:
        return (self.terms, self.head, self.removed, self.segment, self.posting)


_NAMES = ("terms", "head", "removed", "segment", "posting")


def keyword_table_names(revision_id: int) -> tuple[str, ...]:
    """Without the schema."""
    return tuple(_full_name(name, revision_id) for name in _NAMES)


def _full_name(name: str, revision_id: int) -> str:
    return f"keyword_{name}_{revision_id:d}"


def keyword_tables(metadata: sa.MetaData, revision_id: int) -> KeywordTables:
    """The tables of ``revision_id``, registered with ``metadata``: asking twice gives the same ones."""

    def table(name: str, *items: sa.schema.SchemaItem, **options: Any) -> sa.Table:
        full_name = _full_name(name, revision_id)
        known = metadata.tables.get(f"{SCHEMA}.{full_name}")
        return known if known is not None else sa.Table(full_name, metadata, *items, schema=SCHEMA, **options)

    return KeywordTables(
        revision_id=revision_id,
        terms=table(
            "terms",
            sa.Column("chunk_id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("document_id", sa.BigInteger, nullable=False, index=True),
            sa.Column("length", sa.Integer, nullable=False),
            sa.Column("terms", ARRAY(sa.BigInteger), nullable=False),  # ids of the distinct terms
            sa.Column("frequencies", BYTEA, nullable=False),  # a byte for each of them
            sa.Column("row", sa.Text, nullable=False),  # the running text, a character for each term: see encoding
            postgresql_with=IN_PAGE,
        ),
        head=table("head", sa.Column("chunk_id", sa.BigInteger, primary_key=True, autoincrement=False)),
        removed=table("removed", sa.Column("chunk_id", sa.BigInteger, primary_key=True, autoincrement=False)),
        segment=table(
            "segment",
            sa.Column("segment_id", sa.Integer, sa.Identity(always=True), primary_key=True),
            sa.Column("slots", sa.SmallInteger, nullable=False),  # chunks it was made with
            sa.Column("dead", sa.SmallInteger, nullable=False),  # of these, known to be gone
            sa.Column("average_length", sa.Double, nullable=False),  # that the impacts were computed with
            sa.Column("chunks", ARRAY(sa.BigInteger), nullable=False),
            postgresql_with=IN_PAGE,
        ),
        posting=table(
            "posting",
            sa.Column("segment_id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("first_term", sa.BigInteger, primary_key=True, autoincrement=False),  # the lowest of ``terms``
            sa.Column("terms", ARRAY(sa.BigInteger), nullable=False),
            sa.Column("chunks", ARRAY(sa.SmallInteger), nullable=False),  # by term: filled slots, gone ones included
            sa.Column("impacts", ARRAY(SPARSEVEC(SEGMENT_SLOTS)), nullable=False),
            postgresql_with=IN_PAGE,
        ),
    )
