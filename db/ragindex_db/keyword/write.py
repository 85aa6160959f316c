"""What a document's transaction does to the keyword arm: insert its own chunks' terms, delete its own chunks' terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_db.keyword import encoding
from ragindex_db.keyword.tables import KeywordTables

_COPY = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)")
#: Rows are sent in pieces of about this size.
_COPY_BYTES = 1 << 17


@dataclass(frozen=True, slots=True)
class ChunkTerms:
    """A chunk as the analyser counted it; ``row`` is its running text, needed to find phrases in it."""

    chunk_id: int
    document_id: int
    length: int
    terms: Mapping[str, int]
    row: Sequence[str | None] = ()


def write(connection: Connection, tables: KeywordTables, rows: Sequence[ChunkTerms]) -> None:
    """Adds chunks; their ids must be new to the revision. They are found as soon as the transaction commits."""
    if not rows:
        return
    copy_into(
        connection,
        tables.terms,
        ("chunk_id", "document_id", "length", "terms", "frequencies", "row"),
        (
            encoding.copy_row(
                encoding.int8(row.chunk_id),
                encoding.int8(row.document_id),
                encoding.int4(row.length),
                encoding.int8_array([encoding.term_id(term) for term in row.terms]),
                encoding.counts(list(row.terms.values())),
                encoding.running_text(row.terms, row.row).encode(),
            )
            for row in rows
        ),
    )
    copy_into(connection, tables.head, ("chunk_id",), (encoding.copy_row(encoding.int8(row.chunk_id)) for row in rows))


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


def copy_into(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    """Rows that are already encoded, in the transaction of ``connection``."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    statement = _COPY.format(
        table=sql.Identifier(table.schema or "", table.name),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        pending = bytearray(encoding.COPY_HEADER)
        for row in rows:
            pending += row
            if len(pending) >= _COPY_BYTES:
                copy.write(bytes(pending))
                pending.clear()
        copy.write(bytes(pending + encoding.COPY_TRAILER))
