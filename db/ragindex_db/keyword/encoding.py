"""Terms and postings as PostgreSQL's binary COPY takes them.

A term is a 64-bit hash of its text: among a million terms two share one with a probability of three in a hundred
million, and every comparison is one of integers. A chunk's running text is a string with one character for each place:
the number of its term among the chunk's terms, so that a phrase is found by looking for a substring.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ragindex_core.bm25 import MAX_FREQUENCY

#: The character of a chunk's first term; below it are control characters, one of which marks a gap.
FIRST_CHARACTER = 0x20
GAP = "\x01"
#: Surrogates are no characters, so characters end here. This one stands in no text: a passage with more distinct terms
#: than fit below it has gaps in their places.
NO_CHARACTER = 0xD7FF

_INT8_OID, _INT2_OID = 20, 21

#: Terms are put together into rows of about this size: larger ones take longer to look through, smaller ones are
#: mostly header. A term that fills more has a row of its own.
_ROW_BYTES = 2000
_ARRAY_ELEMENT = np.dtype([("size", ">i4"), ("value", ">i8")])

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
COPY_TRAILER = struct.pack(">h", -1)

TermIds: TypeAlias = NDArray[np.int64]


@lru_cache(maxsize=200_000)
def term_id(term: str) -> int:
    """The number that stands for ``term`` in every table, on every machine."""
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), signed=True)


def running_text(terms: Mapping[str, int], row: Sequence[str | None]) -> str:
    """``row`` with a character for each place; ``terms`` numbers the terms by its order."""
    numbered = zip(terms, range(FIRST_CHARACTER, NO_CHARACTER), strict=False)
    characters = {term: chr(number) for term, number in numbered}
    return "".join([characters.get(term, GAP) if term is not None else GAP for term in row])


def counts(frequencies: Sequence[int]) -> bytes:
    return bytes([min(frequency, MAX_FREQUENCY) for frequency in frequencies])


def int8_array(values: Sequence[int] | TermIds) -> bytes:
    """A one-dimensional bigint[]; an empty one has no dimensions."""
    if len(values) == 0:
        return struct.pack(">iiI", 0, 0, _INT8_OID)
    elements = np.empty(len(values), _ARRAY_ELEMENT)
    elements["size"] = 8
    elements["value"] = values
    return struct.pack(">iiIii", 1, 0, _INT8_OID, len(values), 1) + elements.tobytes()


def read_int8_array(sent: bytes) -> TermIds:
    """The numbers in what ``array_send`` gives for a bigint[] without nulls."""
    if len(sent) <= 12:
        return np.empty(0, np.int64)
    return np.frombuffer(sent, _ARRAY_ELEMENT, offset=20)["value"].astype(np.int64)


def copy_row(*fields: bytes) -> bytes:
    parts = [struct.pack(">h", len(fields))]
    for field in fields:
        parts.append(struct.pack(">i", len(field)))
        parts.append(field)
    return b"".join(parts)


def int4(value: int) -> bytes:
    return struct.pack(">i", value)


def int8(value: int) -> bytes:
    return struct.pack(">q", value)


def posting_rows(
    segment_id: int,
    dimensions: int,
    vector_oid: int,
    postings: tuple[TermIds, NDArray[np.int32], NDArray[np.float32]],
) -> Iterator[bytes]:
    """Rows of the posting table from (term, slot, impact) in parallel arrays with slots in rising order.

    A sparse vector is sent as dimensions, count, zero, the indices from 0, the values.
    """
    terms, slots, impacts = postings
    if not len(terms):  # chunks without a word in them
        return
    order = np.argsort(terms, kind="stable")
    ordered = terms[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(ordered))
    indices = slots[order].astype(">i4").tobytes()
    values = impacts[order].astype(">f4").tobytes()
    row = _PostingRow(segment_id, vector_oid)
    head = struct.Struct(">iiii")
    for term, start, end in zip(ordered[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        size = end - start
        vector = head.pack(12 + 8 * size, dimensions, size, 0)
        vector += indices[4 * start : 4 * end] + values[4 * start : 4 * end]
        if row.size + len(vector) > _ROW_BYTES and row.terms:
            yield row.encoded()
            row = _PostingRow(segment_id, vector_oid)
        row.add(term, size, vector)
    if row.terms:
        yield row.encoded()


class _PostingRow:
    """Neighbouring terms of a segment with their vectors, as long as they fit together."""

    def __init__(self, segment_id: int, vector_oid: int) -> None:
        self._segment_id, self._vector_oid = segment_id, vector_oid
        self.terms: list[int] = []
        self._chunks: list[bytes] = []
        self._vectors: list[bytes] = []
        self.size = 0

    def add(self, term: int, chunks: int, vector: bytes) -> None:
        self.terms.append(term)
        self._chunks.append(struct.pack(">ih", 2, chunks))
        self._vectors.append(vector)
        self.size += len(vector) + 10  # beside the vector a term takes its id and its count

    def encoded(self) -> bytes:
        count = len(self.terms)
        return copy_row(
            int4(self._segment_id),
            int8(self.terms[0]),
            int8_array(self.terms),
            struct.pack(">iiIii", 1, 0, _INT2_OID, count, 1) + b"".join(self._chunks),
            struct.pack(">iiIii", 1, 0, self._vector_oid, count, 1) + b"".join(self._vectors),
        )
