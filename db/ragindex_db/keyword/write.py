"""What a document's transaction does to the keyword arm: insert its own chunks' terms, delete its own chunks' terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_db.copying import copy_into
from ragindex_db.keyword import encoding
from ragindex_db.keyword.tables import KeywordTables


@dataclass(frozen=True, slots=True)
class ChunkTerms:
    """A chunk as the analyser counted it; ``row`` is its running text, needed to find phrases in it."""

    chunk_id: int
    document_id: int
    length: int
    terms: Mapping[str, int]
    row: Sequence[str | None] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the analyser counted in a passage, encoded as it is stored: it takes a fraction of the memory."""

    length: int
    terms: bytes
    frequencies: bytes
    row: bytes


def encode(length: int, terms: Mapping[str, int], row: Sequence[str | None]) -> Terms:
    return Terms(
        length,
        encoding.term_ids(terms),
        encoding.counts(terms.values()),
        encoding.running_text(terms, row).encode(),
    )


def write(connection: Connection, tables: KeywordTables, rows: Sequence[ChunkTerms]) -> None:
    """Adds chunks; their ids must be new to the revision. They are found as soon as the transaction commits."""
    encoded = [(row.chunk_id, row.document_id, encode(row.length, row.terms, row.row)) for row in rows]
    write_encoded(connection, tables, encoded)


def write_encoded(connection: Connection, tables: KeywordTables, rows: Sequence[tuple[int, int, Terms]]) -> None:
    """The same for terms that were encoded beforehand: ids of chunk and document, and its terms."""
    if not rows:
        return
    columns = ("chunk_id", "document_id", "length", "terms", "frequencies", "row")
    copy_into(connection, tables.terms, columns, (_row(*row) for row in rows))
    copy_into(connection, tables.head, ("chunk_id",), (encoding.copy_row(encoding.int8(row[0])) for row in rows))


def _row(chunk_id: int, document_id: int, terms: Terms) -> bytes:
    return encoding.copy_row(
        encoding.int8(chunk_id),
        encoding.int8(document_id),
        encoding.int4(terms.length),
        terms.terms,
        terms.frequencies,
        terms.row,
    )


def delete_chunks(connection: Connection, tables: KeywordTables, chunk_ids: Sequence[int]) -> None:
    """Takes the chunks out of every search from the commit on."""
    _delete(connection, tables, tables.terms.c.chunk_id, chunk_ids)


def delete_documents(connection: Connection, tables: KeywordTables, document_ids: Sequence[int]) -> None:
    """The same for all chunks of some documents."""
    _delete(connection, tables, tables.terms.c.document_id, document_ids)


def _delete(connection: Connection, tables: KeywordTables, column: sa.Column[int], ids: Sequence[int]) -> None:
    if not ids:
        return
    wanted = sa.bindparam("ids", list(ids), type_=ARRAY(sa.BigInteger))
    gone = sa.delete(tables.terms).where(column == sa.any_(wanted)).returning(tables.terms.c.chunk_id).cte("gone")
    connection.execute(sa.insert(tables.removed).from_select(["chunk_id"], sa.select(gone.c.chunk_id)))
