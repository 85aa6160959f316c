"""Binary COPY in the transaction of a connection: the fastest way into a table."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Table

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_STATEMENT = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)")
#: Rows are sent in pieces of about this size.
_BYTES = 1 << 17


@contextmanager
def copying(connection: Connection, table: Table, columns: Iterable[str]) -> Iterator[psycopg.Copy]:
    """For rows that the driver encodes; set their types first."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    statement = _STATEMENT.format(
        table=sql.Identifier(table.schema or "", table.name),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        yield copy


def copy_into(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    """Rows that are already encoded, each or several together."""
    with copying(connection, table, columns) as copy:
        pending = bytearray(_HEADER)
        for row in rows:
            pending += row
            if len(pending) >= _BYTES:
                copy.write(bytes(pending))
                pending.clear()
        copy.write(bytes(pending + _TRAILER))
