"""Documents' chunks into a revision: text, vectors and terms by binary COPY, the older ones out, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection, Table

from ragindex_core.document import Chunk
from ragindex_db import documents, keyword
from ragindex_db.copying import copy_into, copying
from ragindex_db.data_tables import RevisionTables

_VECTORS_AT_ONCE = 256
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
    terms: keyword.Terms | None


@dataclass(frozen=True, slots=True)
class DocumentChunks:
    document_id: int
    namespace: str
    version: str
    content_id: int
    language: str | None
    access_groups: tuple[str, ...] | None
    chunks: Sequence[EmbeddedChunk]


@dataclass(frozen=True, slots=True)
class _Row:
    """A chunk of a document, with the id it gets."""

    id: int
    document_id: int
    chunk: EmbeddedChunk


def replace_chunks(
    connection: Connection, tables: RevisionTables, written: Sequence[DocumentChunks], *, sealed: bool
) -> None:
    """These documents' chunks are these and no others. ``sealed``: no vector index is there yet that inserts would
    have to maintain."""
    documents.delete_chunks(connection, tables, [document.document_id for document in written])
    ids = iter(_take_ids(connection, tables.chunk, sum(len(document.chunks) for document in written)))
    rows = [(document, [_Row(next(ids), document.document_id, c) for c in document.chunks]) for document in written]
    _copy_chunks(connection, tables.chunk, rows)
    searchable = [row for _, of_document in rows for row in of_document if row.chunk.vector is not None]
    _copy_vectors(connection, tables, searchable, sealed=sealed)
    terms = [(row.id, row.document_id, row.chunk.terms) for row in searchable if row.chunk.terms is not None]
    keyword.write_encoded(connection, tables.keyword, terms)


def _take_ids(connection: Connection, table: Table, count: int) -> list[int]:
    sequence = sa.func.pg_get_serial_sequence(f"{table.schema}.{table.name}", "id")
    numbers = sa.func.generate_series(1, count).table_valued("n")
    return list(connection.execute(sa.select(sa.func.nextval(sequence)).select_from(numbers)).scalars())


def _copy_chunks(connection: Connection, table: Table, rows: Sequence[tuple[DocumentChunks, Sequence[_Row]]]) -> None:
    with copying(connection, table, _CHUNK_COLUMNS) as copy:
        copy.set_types(list(_CHUNK_COLUMNS.values()))
        for document, of_document in rows:
            groups = list(document.access_groups) if document.access_groups is not None else None
            ids = [row.id for row in of_document]
            for row in of_document:
                copy.write_row(_chunk_row(document, row, ids, groups))


def _chunk_row(document: DocumentChunks, row: _Row, ids: Sequence[int], groups: list[str] | None) -> tuple[Any, ...]:
    chunk, at = row.chunk.chunk, row.chunk.chunk.location
    return (
        row.id,
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
        row.chunk.vector is not None,
        chunk.tokens,
        groups,
    )


def _copy_vectors(connection: Connection, tables: RevisionTables, rows: Sequence[_Row], *, sealed: bool) -> None:
    """Every row has the same size, so that all of them are one array."""
    columns = ("chunk_id", "document_id", "sealed", "embedding")
    component = ">f2" if tables.element_type == "HalfVector" else ">f4"
    layout = np.dtype(
        [
            ("fields", ">i2"),
            ("chunk_id_size", ">i4"),
            ("chunk_id", ">i8"),
            ("document_id_size", ">i4"),
            ("document_id", ">i8"),
            ("sealed_size", ">i4"),
            ("sealed", "u1"),
            ("embedding_size", ">i4"),
            ("dimensions", ">i2"),
            ("unused", ">i2"),
            ("embedding", component, (tables.dimensions,)),
        ]
    )

    def blocks() -> Iterator[bytes]:
        for start in range(0, len(rows), _VECTORS_AT_ONCE):
            part = rows[start : start + _VECTORS_AT_ONCE]
            block = np.zeros(len(part), layout)
            block["fields"] = len(columns)
            block["chunk_id_size"] = block["document_id_size"] = 8
            block["sealed_size"] = 1
            block["embedding_size"] = layout["embedding"].itemsize + 4
            block["dimensions"] = tables.dimensions
            block["chunk_id"] = [row.id for row in part]
            block["document_id"] = [row.document_id for row in part]
            block["sealed"] = sealed
            block["embedding"] = [row.chunk.vector for row in part]
            yield block.tobytes()

    copy_into(connection, tables.vector, columns, blocks())
