"""A document's chunks into a revision: text, vectors and terms by binary COPY, the older ones out, all or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from pgvector import HalfVector, Vector
from psycopg import sql
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import insert

from ragindex_core.analysis import Analysed
from ragindex_core.document import Chunk
from ragindex_db import documents, keyword
from ragindex_db.data_tables import RevisionTables
from ragindex_db.schema import contents

_CHUNK_COLUMNS = {
    "id": "int8",
    "document_id": "int8",
    "namespace": "text",
    "version": "text",
    "content_id": "int8",
    "ordinal": "int4",
    "text": "text",
    "context": "text",
    "headings": "text[]",
    "span_start": "int4",
    "span_end": "int4",
    "page": "int4",
    "page_end": "int4",
    "sheet": "text",
    "cells": "text",
    "start_ms": "int8",
    "end_ms": "int8",
    "speaker": "text",
    "language": "text",
    "level": "int2",
    "parent": "int8",
    "section": "int8",
    "searchable": "bool",
    "tokens": "int4",
    "access_groups": "text[]",
}


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk with its vector and terms; a chunk that is not searchable has neither."""

    chunk: Chunk
    vector: NDArray[np.float32] | None
    analysed: Analysed


@dataclass(frozen=True, slots=True)
class DocumentChunks:
    document_id: int
    namespace: str
    version: str
    content_id: int
    language: str | None
    access_groups: tuple[str, ...] | None
    chunks: Sequence[EmbeddedChunk]


def store_content(connection: Connection, document_id: int, namespace: str, version: str, text: str) -> int:
    """The id of this text as a version of the document; stored once however many revisions refer to it."""
    digest = hashlib.sha256(text.encode()).digest()
    same = (
        contents.c.document_id == document_id,
        contents.c.version == version,
        contents.c.text_sha256 == digest,
    )
    connection.execute(
        insert(contents)
        .values(document_id=document_id, namespace=namespace, version=version, text_sha256=digest, text=text)
        .on_conflict_do_nothing()
    )
    return int(connection.execute(sa.select(contents.c.id).where(*same)).scalar_one())


def replace_chunks(connection: Connection, tables: RevisionTables, document: DocumentChunks, *, sealed: bool) -> None:
    """The document's chunks are these and no others. ``sealed``: no vector index is there yet that inserts would
    have to maintain."""
    documents.delete_chunks(connection, tables, [document.document_id])
    if document.chunks:
        ids = _take_ids(connection, tables.chunk, len(document.chunks))
        _copy(connection, tables.chunk, _CHUNK_COLUMNS, _chunk_rows(document, ids))
        searchable = [(i, c) for i, c in zip(ids, document.chunks, strict=True) if c.vector is not None]
        _copy_vectors(connection, tables, document.document_id, searchable, sealed=sealed)
        keyword.write(connection, tables.keyword, [_terms(i, document.document_id, c.analysed) for i, c in searchable])


def _terms(chunk_id: int, document_id: int, analysed: Analysed) -> keyword.ChunkTerms:
    return keyword.ChunkTerms(chunk_id, document_id, analysed.length, analysed.frequencies, analysed.row)


def forget_old_contents(connection: Connection, document_id: int, referring: Table) -> None:
    """Texts of this document that no revision refers to any more."""
    connection.execute(
        sa.delete(contents).where(
            contents.c.document_id == document_id,
            sa.not_(sa.exists().where(referring.c.content_id == contents.c.id)),
        )
    )


def _take_ids(connection: Connection, table: Table, count: int) -> list[int]:
    sequence = sa.func.pg_get_serial_sequence(f"{table.schema}.{table.name}", "id")
    numbers = sa.func.generate_series(1, count).table_valued("n")
    return list(connection.execute(sa.select(sa.func.nextval(sequence)).select_from(numbers)).scalars())


def _chunk_rows(document: DocumentChunks, ids: Sequence[int]) -> list[tuple[Any, ...]]:
    groups = list(document.access_groups) if document.access_groups is not None else None
    rows = []
    for chunk_id, embedded in zip(ids, document.chunks, strict=True):
        chunk, at = embedded.chunk, embedded.chunk.location
        rows.append(
            (
                chunk_id,
                document.document_id,
                document.namespace,
                document.version,
                document.content_id,
                chunk.ordinal,
                chunk.text,
                chunk.context,
                list(chunk.headings),
                chunk.span.start,
                chunk.span.end,
                at.page,
                at.page_end,
                at.sheet,
                at.cells,
                at.start_ms,
                at.end_ms,
                at.speaker,
                document.language,
                chunk.level,
                None if chunk.parent is None else ids[chunk.parent],
                None if chunk.section is None else ids[chunk.section],
                embedded.vector is not None,
                chunk.tokens,
                groups,
            )
        )
    return rows


def _copy_vectors(
    connection: Connection,
    tables: RevisionTables,
    document_id: int,
    searchable: Sequence[tuple[int, EmbeddedChunk]],
    *,
    sealed: bool,
) -> None:
    half = tables.element_type == "HalfVector"
    columns = {
        "chunk_id": "int8",
        "document_id": "int8",
        "sealed": "bool",
        "embedding": "halfvec" if half else "vector",
    }
    wrap = HalfVector if half else Vector
    rows = [(i, document_id, sealed, wrap(c.vector)) for i, c in searchable if c.vector is not None]
    _copy(connection, tables.vector, columns, rows)


def _copy(connection: Connection, table: Table, columns: dict[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.schema or "", table.name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)
