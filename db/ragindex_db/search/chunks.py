"""Chunks as they are shown: text, place and document; and what stands before and after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Row, Select
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_core.document import NOWHERE, Location, Span
from ragindex_db.compiled import Reader, planned_once
from ragindex_db.data_tables import RevisionTables
from ragindex_db.schema import documents


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """``version`` is the one the chunk was cut from."""

    id: int
    source: str
    uri: str
    title: str | None
    version: str


class StoredChunk(NamedTuple):
    """A row of ``stored_chunks``, its columns in their order: a search makes ten of these, so nothing is unpacked that
    nobody looks at."""

    chunk_id: int
    document_id: int
    version: str
    content_id: int
    ordinal: int
    text: str
    context: str
    headings: list[str]
    span_start: int
    span_end: int
    page: int | None
    page_end: int | None
    sheet: str | None
    cells: str | None
    start_ms: int | None
    end_ms: int | None
    speaker: str | None
    language: str | None
    level: int
    tokens: int
    source: str
    uri: str
    title: str | None
    metadata: Mapping[str, Any]

    @property
    def document(self) -> DocumentReference:
        return DocumentReference(self.document_id, self.source, self.uri, self.title, self.version)

    @property
    def span(self) -> Span:
        return Span(self.span_start, self.span_end)

    @property
    def location(self) -> Location:
        if self.page is None and self.sheet is None and self.start_ms is None and self.speaker is None:
            return NOWHERE
        return Location(self.page, self.page_end, self.sheet, self.cells, self.start_ms, self.end_ms, self.speaker)


_COLUMNS = len(StoredChunk._fields)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """``text`` and ``span`` leave out what the passage, or a neighbour nearer to it, shows already."""

    chunk_id: int
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Surroundings:
    """In reading order."""

    before: tuple[Neighbour, ...] = ()
    after: tuple[Neighbour, ...] = ()


_CHUNK_IDS = sa.bindparam("chunk_ids", type_=ARRAY(sa.BigInteger))


def get_chunks(connection: Reader, tables: RevisionTables, chunk_ids: Sequence[int]) -> list[StoredChunk]:
    """In the order asked for, without those that are gone."""
    rows = connection.execute(_chunks(tables), {"chunk_ids": list(chunk_ids)})
    found = {row.id: stored_chunk(row) for row in rows}
    return [found[chunk_id] for chunk_id in chunk_ids if chunk_id in found]


@lru_cache(maxsize=1024)
def _chunks(tables: RevisionTables) -> Select[Any]:
    return planned_once(stored_chunks(tables).where(tables.chunk.c.id == sa.any_(_CHUNK_IDS)))


def stored_chunks(tables: RevisionTables) -> Select[Any]:
    """What ``stored_chunk`` reads, of every chunk."""
    chunk = tables.chunk.c
    return (
        sa.select(
            chunk.id,
            chunk.document_id,
            chunk.version,
            chunk.content_id,
            chunk.ordinal,
            chunk.text,
            chunk.context,
            chunk.headings,
            chunk.span_start,
            chunk.span_end,
            chunk.page,
            chunk.page_end,
            chunk.sheet,
            chunk.cells,
            chunk.start_ms,
            chunk.end_ms,
            chunk.speaker,
            sa.func.coalesce(chunk.language, documents.c.language).label("language"),
            chunk.level,
            chunk.tokens,
            documents.c.source,
            documents.c.uri,
            documents.c.title,
            documents.c.metadata.label("document_metadata"),
        )
        .select_from(tables.chunk)
        .join(documents, documents.c.id == chunk.document_id)
    )


def stored_chunk(row: Row[Any]) -> StoredChunk:
    """Out of a row that begins with those columns."""
    return StoredChunk._make(row[:_COLUMNS])


def surroundings(
    connection: Reader, tables: RevisionTables, passages: Sequence[StoredChunk], count: int
) -> dict[int, Surroundings]:
    """Up to ``count`` chunks of the same level before and after each passage, by the passage's chunk id.

    No text is given twice: a chunk that is itself among ``passages``, or already stands beside an earlier one, is left
    out, and so is the part of a neighbour that overlaps what it follows or precedes.
    """
    bound = {"chunk_ids": [passage.chunk_id for passage in passages], "count": count}
    beside: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(_neighbours(tables), bound):
        beside.setdefault(row.of, []).append(row)
    shown = {passage.chunk_id for passage in passages}
    found = {}
    for passage in passages:
        rows = sorted(beside.get(passage.chunk_id, ()), key=lambda row: abs(row.ordinal - passage.ordinal))
        before = _before(passage, [row for row in rows if row.ordinal < passage.ordinal], shown)
        after = _after(passage, [row for row in rows if row.ordinal > passage.ordinal], shown)
        found[passage.chunk_id] = Surroundings(before, after)
    return found


@lru_cache(maxsize=1024)
def _neighbours(tables: RevisionTables) -> sa.CompoundSelect[Any]:
    passage = tables.chunk.alias("passage")
    return sa.union_all(*(_on_one_side(tables, passage, after=after) for after in (False, True)))


def _on_one_side(tables: RevisionTables, passage: sa.FromClause, *, after: bool) -> Select[Any]:
    chunk = tables.chunk.alias()
    beyond = chunk.c.ordinal > passage.c.ordinal if after else chunk.c.ordinal < passage.c.ordinal
    nearest = (
        sa.select(chunk.c.id, chunk.c.ordinal, chunk.c.text, chunk.c.span_start, chunk.c.span_end)
        .where(chunk.c.document_id == passage.c.document_id, chunk.c.level == passage.c.level, beyond)
        .order_by(chunk.c.ordinal if after else chunk.c.ordinal.desc())
        .limit(sa.bindparam("count", type_=sa.BigInteger()))
        .lateral()
    )
    return (
        sa.select(passage.c.id.label("of"), nearest)
        .select_from(passage.join(nearest, sa.true()))
        .where(passage.c.id == sa.any_(_CHUNK_IDS))
    )


def _before(passage: StoredChunk, nearest_first: Sequence[Row[Any]], shown: set[int]) -> tuple[Neighbour, ...]:
    pieces: list[Neighbour] = []
    edge = passage.span.start
    for row in nearest_first:
        end = min(row.span_end, edge)
        if row.id not in shown and end > row.span_start:
            pieces.insert(0, Neighbour(row.id, row.text[: end - row.span_start], Span(row.span_start, end)))
            shown.add(row.id)
        edge = min(edge, row.span_start)
    return tuple(pieces)


def _after(passage: StoredChunk, nearest_first: Sequence[Row[Any]], shown: set[int]) -> tuple[Neighbour, ...]:
    pieces: list[Neighbour] = []
    edge = passage.span.end
    for row in nearest_first:
        start = max(row.span_start, edge)
        if row.id not in shown and start < row.span_end:
            pieces.append(Neighbour(row.id, row.text[start - row.span_start :], Span(start, row.span_end)))
            shown.add(row.id)
        edge = max(edge, row.span_end)
    return tuple(pieces)
