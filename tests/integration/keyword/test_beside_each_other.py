"""Writers, the sealer and readers work at the same time; none waits for another and none sees half of anything."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from ragindex_db import keyword

from .conftest import Revision, chunk, words

WRITERS = 4
DOCUMENTS = 40
ROUNDS = 5


def test_open_transactions_do_not_wait_for_each_other(revision: Revision) -> None:
    revision.write(*[chunk(n, n, ["a", f"b{n}"]) for n in range(1, 9)])
    revision.seal()
    revision.write(chunk(9, 9, ["a"]), chunk(10, 10, ["a"]))
    database, tables = revision.database, revision.tables
    impatient = sa.select(sa.func.set_config("lock_timeout", "2s", True))
    with database.begin() as one, database.begin() as other, database.begin() as sealer:
        for connection in (one, other, sealer):
            connection.execute(impatient)
        keyword.delete_documents(one, tables, [1, 9])
        keyword.write(one, tables, [chunk(11, 1, ["a"])])
        keyword.delete_documents(other, tables, [2, 10])
        keyword.write(other, tables, [chunk(12, 2, ["a"])])
        assert keyword.seal(sealer, tables, minimum=1).sealed == 2
        keyword.delete_documents(one, tables, [3])
        keyword.delete_documents(other, tables, [4])
        assert revision.found(words("a"), 20) == [*range(9, 11), *range(1, 9)]
    assert set(revision.found(words("a"), 20)) == {5, 6, 7, 8, 11, 12}
    revision.seal()
    assert set(revision.found(words("a"), 20)) == {5, 6, 7, 8, 11, 12}


def test_one_sealer_at_a_time(revision: Revision) -> None:
    revision.write(chunk(1, 1, ["a"]))
    with revision.database.begin() as one, revision.database.begin() as other:
        assert keyword.seal(one, revision.tables, minimum=1).sealed == 1
        assert keyword.seal(other, revision.tables, minimum=1).busy
    assert revision.database.run(keyword.seal, revision.tables, 1).idle


def test_documents_are_replaced_by_four_writers_beside_a_sealer_and_a_reader(revision: Revision) -> None:
    database, tables = revision.database, revision.tables
    # Every version of a document has three chunks with the word of the document, whatever else changes.
    lock, ids = threading.Lock(), iter(range(1, 10**6))
    done = threading.Event()

    def replace(document: int, source: random.Random) -> None:
        with lock:
            rows = [
                chunk(next(ids), document, [f"d{document}", *source.choices("abcdefgh", k=source.randint(1, 20))])
                for _ in range(3)
            ]
        with database.begin() as connection:
            keyword.delete_documents(connection, tables, [document])
            keyword.write(connection, tables, rows)
        with lock:
            revision.live -= {n for n in revision.live if revision.written[n].document_id == document}
            revision.written.update({row.chunk_id: row for row in rows})
            revision.live.update(row.chunk_id for row in rows)

    def write(writer: int) -> None:
        source = random.Random(writer)
        mine = [n for n in range(DOCUMENTS) if n % WRITERS == writer]
        for _ in range(ROUNDS):
            for document in source.sample(mine, len(mine)):
                replace(document, source)

    def seal() -> int:
        sealed = 0
        while not done.is_set():
            sealed += database.run(keyword.seal, tables, 5).sealed
        return sealed

    def read() -> int:
        reads = 0
        while not done.is_set():
            reads += 1
            found = revision.search(words(f"d{reads % DOCUMENTS}"), 10)
            assert len(found) in (0, 3), found
        return reads

    with ThreadPoolExecutor(WRITERS + 2) as threads:
        beside = [threads.submit(seal), threads.submit(read)]
        try:
            for writer in [threads.submit(write, n) for n in range(WRITERS)]:
                writer.result()
        finally:
            done.set()
        assert all(future.result() > 0 for future in beside)
    assert len(revision.live) == DOCUMENTS * 3
    for minimum in (10**6, 1):
        for query in (words("a"), words("d3", "b", "c"), words("h", "g")):
            assert revision.search(query, 50) == revision.expected(query, 50)
        revision.seal(minimum)
