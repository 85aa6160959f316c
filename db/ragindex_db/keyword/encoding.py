"""Terms and postings as PostgreSQL's binary COPY takes them.

A term is a 64-bit hash of its text: among a million terms two share one with a probability of three in a hundred
million, and every comparison is one of integers. A chunk's running text is a string with one character for each place:
the number of its term among the chunk's terms, so that a phrase is found by looking for a substring.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
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

_CHARACTERS = tuple(map(chr, range(FIRST_CHARACTER, NO_CHARACTER)))

_INT8_OID, _INT2_OID = 20, 21

#: Terms are put together into rows of about this size: larger ones take longer to look through, smaller ones are
#: mostly header. A term that fills more has a row of its own.
_ROW_BYTES = 2000
_ARRAY_ELEMENT = np.dtype([("size", ">i4"), ("value", ">i8")])
_ELEMENT_SIZE = struct.pack(">i", 8)
_MOST_ELEMENTS = 200_000

TermIds: TypeAlias = NDArray[np.int64]


def term_id(term: str) -> int:
    """The number that stands for ``term`` in every table, on every machine."""
    return int.from_bytes(_digest(term), signed=True)


def _digest(term: str) -> bytes:
    return blake2b(term.encode(), digest_size=8).digest()


class _Elements(dict[str, bytes]):
    """Terms as elements of an array of their ids, each made once: a plain dict gives them ten times as fast as a cache
    that keeps account of its use. Threads may share it: one that makes an element again makes the same."""

    def __missing__(self, term: str) -> bytes:
        if len(self) >= _MOST_ELEMENTS:
            self.clear()
        element = self[term] = _ELEMENT_SIZE + _digest(term)
        return element


_elements = _Elements()


def term_ids(terms: Collection[str]) -> bytes:
    """The ids of the terms as a bigint[]."""
    return _array_head(len(terms)) + b"".join(map(_elements.__getitem__, terms))


def running_text(terms: Iterable[str], row: Sequence[str | None]) -> str:
    """``row`` with a character for each place; ``terms`` numbers the terms by its order."""
    characters: dict[str | None, str] = dict(zip(terms, _CHARACTERS, strict=False))
    return "".join([characters.get(term, GAP) for term in row])


def counts(frequencies: Collection[int]) -> bytes:
    if max(frequencies, default=0) > MAX_FREQUENCY:
        frequencies = [min(frequency, MAX_FREQUENCY) for frequency in frequencies]
    return bytes(frequencies)


def int8_array(values: Sequence[int] | TermIds) -> bytes:
    """A one-dimensional bigint[]; an empty one has no dimensions."""
    elements = np.empty(len(values), _ARRAY_ELEMENT)
    elements["size"] = 8
    elements["value"] = values
    return _array_head(len(values)) + elements.tobytes()


def _array_head(count: int) -> bytes:
    return struct.pack(">iiIii", 1, 0, _INT8_OID, count, 1) if count else struct.pack(">iiI", 0, 0, _INT8_OID)


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
