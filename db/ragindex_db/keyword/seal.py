"""Moves chunks from the head into segments, and makes segments anew that lost too much: a bounded step at a time.

One sealer works on a revision at a time; a second one leaves at once. Within the step everything is read before
anything is written, and writers may go on: a chunk that goes while it is sealed is not found any more, because its
terms are gone, and the next step counts it as dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_core import bm25
from ragindex_db.copying import copy_into
from ragindex_db.keyword import encoding
from ragindex_db.keyword.tables import SEGMENT_SLOTS, KeywordTables

#: "keyw": apart from every other advisory lock; the second key is the revision.
_LOCK_CLASS = 0x6B657977

#: A segment with a larger share of dead slots is made anew: dead slots cost time and still count in the statistics.
MOST_DEAD_SHARE = 0.2

#: Impacts hold the average length of their time. While an index has at most this many segments all of them are made
#: anew when the average has moved by more than the tolerance; later it stays, as one step could not do it.
MOST_SEGMENTS_RECOMPUTED = 8
AVERAGE_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class SealResult:
    """``sealed`` chunks left the head, ``rewritten`` segments were made anew. ``busy``: another sealer was at work."""

    sealed: int = 0
    rewritten: int = 0
    busy: bool = False

    @property
    def idle(self) -> bool:
        """Whether calling again at once would do nothing: nothing is left, or another sealer is at it."""
        return self.sealed == 0 and self.rewritten == 0


@dataclass(frozen=True, slots=True)
class _Segment:
    segment_id: int
    slots: int
    dead: int
    average_length: float

    @property
    def live(self) -> int:
        return self.slots - self.dead


def seal(connection: Connection, tables: KeywordTables, minimum: int = SEGMENT_SLOTS) -> SealResult:
    """One step, to be committed before the next. A head of fewer than ``minimum`` chunks is left alone."""
    lock = sa.func.pg_try_advisory_xact_lock(_LOCK_CLASS, tables.revision_id)
    if not connection.execute(sa.select(lock)).scalar_one():
        return SealResult(busy=True)
    _count_dead(connection, tables)
    segments = _segments(connection, tables)
    head = _head(connection, tables)
    average = _average_to_use(connection, tables, segments)
    moving = head[:SEGMENT_SLOTS] if len(head) >= max(1, minimum) else []
    replaced = _worn(segments, average) or _absorbed(segments, len(moving))
    if not moving and not replaced:
        return SealResult()
    chunk_ids = sorted([*_chunks_of(connection, tables, replaced), *moving])
    _drop(connection, tables, replaced)
    for start in range(0, len(chunk_ids), SEGMENT_SLOTS):
        _make(connection, tables, chunk_ids[start : start + SEGMENT_SLOTS], average)
    _leave_head(connection, tables, moving)
    return SealResult(len(moving), len(replaced))


def _ids(values: Sequence[int]) -> sa.ColumnElement[Any]:
    return sa.literal(list(values), ARRAY(sa.BigInteger))


def _count_dead(connection: Connection, tables: KeywordTables) -> None:
    """Books removed chunks as dead slots of their segments. One that is in no segment can get into none any more."""
    removed, segment = tables.removed, tables.segment
    gone = list(connection.execute(sa.select(removed.c.chunk_id)).scalars())
    if not gone:
        return
    slot = sa.func.unnest(segment.c.chunks).table_valued(sa.column("chunk_id", sa.BigInteger)).render_derived()
    dead = (
        sa.select(segment.c.segment_id, sa.func.count().label("dead"))
        .select_from(segment.join(slot, sa.true()))
        .where(slot.c.chunk_id == sa.any_(_ids(gone)))
        .group_by(segment.c.segment_id)
        .cte("dead")
    )
    connection.execute(
        sa.update(segment).where(segment.c.segment_id == dead.c.segment_id).values(dead=segment.c.dead + dead.c.dead)
    )
    _leave_head(connection, tables, gone)
    connection.execute(sa.delete(removed).where(removed.c.chunk_id == sa.any_(_ids(gone))))


def _segments(connection: Connection, tables: KeywordTables) -> list[_Segment]:
    segment = tables.segment
    columns = (segment.c.segment_id, segment.c.slots, segment.c.dead, segment.c.average_length)
    return [_Segment(*row) for row in connection.execute(sa.select(*columns).order_by(segment.c.segment_id))]


def _head(connection: Connection, tables: KeywordTables) -> list[int]:
    """The oldest unsealed chunks, as many as a segment takes."""
    head = tables.head
    oldest = sa.select(head.c.chunk_id).order_by(head.c.chunk_id).limit(SEGMENT_SLOTS)
    return list(connection.execute(oldest).scalars())


def _leave_head(connection: Connection, tables: KeywordTables, chunk_ids: Sequence[int]) -> None:
    head = tables.head
    connection.execute(sa.delete(head).where(head.c.chunk_id == sa.any_(_ids(chunk_ids))))


def _average_to_use(connection: Connection, tables: KeywordTables, segments: Sequence[_Segment]) -> float:
    if len(segments) > MOST_SEGMENTS_RECOMPUTED:
        return segments[0].average_length
    now = connection.execute(sa.select(sa.cast(sa.func.avg(tables.terms.c.length), sa.Double))).scalar_one()
    if segments and (not now or abs(now / segments[0].average_length - 1) <= AVERAGE_TOLERANCE):
        return segments[0].average_length
    return max(float(now or 0), 1.0)


def _worn(segments: Sequence[_Segment], average: float) -> list[_Segment]:
    """Segments to make anew whatever the head holds: all when the average moved, else the one with the most dead."""
    if segments and segments[0].average_length != average:
        return list(segments)
    worn = [segment for segment in segments if segment.dead > segment.slots * MOST_DEAD_SHARE]
    return sorted(worn, key=lambda segment: -segment.dead)[:1]


def _absorbed(segments: Sequence[_Segment], chunks: int) -> list[_Segment]:
    """Small segments to join with ``chunks`` new ones: those no larger than what is already together, so that a chunk
    is moved a few times at most however small the steps are in which an index grows."""
    absorbed: list[_Segment] = []
    for segment in sorted(segments, key=lambda segment: segment.live):
        if not chunks or segment.live > chunks or segment.live + chunks > SEGMENT_SLOTS:
            break
        absorbed.append(segment)
        chunks += segment.live
    return absorbed


def _chunks_of(connection: Connection, tables: KeywordTables, segments: Sequence[_Segment]) -> list[int]:
    segment = tables.segment
    slot = sa.func.unnest(segment.c.chunks)
    wanted = sa.select(slot).where(segment.c.segment_id == sa.any_(_ids([s.segment_id for s in segments])))
    return list(connection.execute(wanted).scalars())


def _drop(connection: Connection, tables: KeywordTables, segments: Sequence[_Segment]) -> None:
    for table in (tables.posting, tables.segment):
        wanted = table.c.segment_id == sa.any_(_ids([segment.segment_id for segment in segments]))
        connection.execute(sa.delete(table).where(wanted))


def _make(connection: Connection, tables: KeywordTables, chunk_ids: Sequence[int], average: float) -> None:
    """A segment of those of ``chunk_ids`` that are still there."""
    terms = tables.terms
    rows = connection.execute(
        sa.select(terms.c.chunk_id, terms.c.length, sa.func.array_send(terms.c.terms), terms.c.frequencies)
        .where(terms.c.chunk_id == sa.any_(_ids(chunk_ids)))
        .order_by(terms.c.chunk_id)
    ).all()
    if not rows:
        return
    segment = tables.segment
    segment_id = connection.execute(
        sa.insert(segment)
        .values(slots=len(rows), dead=0, average_length=average, chunks=[row[0] for row in rows])
        .returning(segment.c.segment_id)
    ).scalar_one()
    term_ids = [encoding.read_int8_array(bytes(row[2])) for row in rows]
    sizes = [len(ids) for ids in term_ids]
    slots = np.repeat(np.arange(len(rows), dtype=np.int32), sizes)
    norms = np.repeat([bm25.length_norm(row[1], average) for row in rows], sizes)
    frequencies = np.frombuffer(b"".join(bytes(row[3]) for row in rows), np.uint8).astype(np.float64)
    impacts = (frequencies * (bm25.K1 + 1) / (frequencies + norms)).astype(np.float32)
    copy_into(
        connection,
        tables.posting,
        ("segment_id", "first_term", "terms", "chunks", "impacts"),
        encoding.posting_rows(
            segment_id, SEGMENT_SLOTS, _vector_oid(connection), (np.concatenate(term_ids), slots, impacts)
        ),
    )


def _vector_oid(connection: Connection) -> int:
    """The number that this database knows the type of the impacts by: arrays are sent with that of their elements."""
    named = sa.cast(sa.func.to_regtype("sparsevec"), postgresql.OID)
    return int(connection.execute(sa.select(named)).scalar_one())
