"""Whatever is written, deleted and sealed in whatever order, a search returns what the definition of BM25 says."""

from __future__ import annotations

import random

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragindex_db import keyword
from ragindex_db.engine import Database
from ragindex_db.keyword import ChunkTerms
from ragindex_db.keyword.tables import SEGMENT_SLOTS

from .conftest import Revision, chunk, new_revision, words

TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=12)
STEPS = st.one_of(
    st.lists(TEXTS, min_size=1, max_size=12),  # write a document of these chunks
    st.integers(0, 12),  # delete the document of that number
    st.sampled_from(["seal all", "seal three or more"]),
)
QUERIES = st.lists(st.sampled_from("abcdefghi"), min_size=1, max_size=9, unique=True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=1, max_size=14), st.lists(QUERIES, min_size=1, max_size=4), st.integers(1, 30))
def test_search_equals_the_definition(
    database: Database, steps: list[list[list[str]] | int | str], queries: list[list[str]], limit: int
) -> None:
    revision = new_revision(database)
    next_chunk = 1
    for number, step in enumerate(steps):
        if isinstance(step, list):
            revision.write(*[chunk(next_chunk + 2 * i, number, text) for i, text in enumerate(step)])
            next_chunk += 2 * len(step)
        elif isinstance(step, int):
            revision.delete_document(step)
        else:
            revision.seal(1 if step == "seal all" else 3)
    for query in queries:
        expected = revision.expected(words(*query), limit)
        assert revision.search(words(*query), limit) == expected
        scores = database.run(keyword.score, revision.tables, words(*query), [*revision.written, 10**12])
        assert {hit.chunk_id: scores[hit.chunk_id] for hit in expected} == {h.chunk_id: h.score for h in expected}
    revision.tables.terms.metadata.drop_all(database.engine)


def _corpus(chunks: int) -> list[ChunkTerms]:
    """Few words, so that there are thousands of equal scores, and most chunks match."""
    source = random.Random(7)
    vocabulary = [f"w{n}" for n in range(40)]
    return [
        chunk(
            2 * i + 1, i // 3, [vocabulary[int(source.paretovariate(0.8)) % 40] for _ in range(source.randint(1, 30))]
        )
        for i in range(chunks)
    ]


def test_thousands_of_chunks_in_segments_and_head_are_ranked_as_one(revision: Revision) -> None:
    revision.write(*_corpus(3400))
    queries = [
        words("w1"),
        words("w39"),
        words("w1", "w2", "w3", "w4"),
        words("w30", "w31", "nowhere"),
        words("nowhere"),
    ]

    def check() -> None:
        for query in queries:
            for limit in (1, 10, 100, 4000):
                assert revision.search(query, limit) == revision.expected(query, limit)

    check()
    revision.seal(minimum=SEGMENT_SLOTS)
    shown = revision.database.run(keyword.statistics, revision.tables)
    assert (shown.chunks, shown.sealed, shown.unsealed, shown.segments) == (
        3400,
        3 * SEGMENT_SLOTS,
        3400 - 3 * SEGMENT_SLOTS,
        3,
    )
    check()
    for document in range(0, 1100, 7):
        revision.delete_document(document)
    check()
    revision.seal(minimum=1)
    check()


def test_statistics_are_those_of_the_living_once_dead_segments_are_new(revision: Revision) -> None:
    revision.write(*_corpus(1500))
    revision.seal(minimum=1)
    for document in range(200):
        revision.delete_document(document)
    revision.seal(minimum=1)
    shown = revision.database.run(keyword.statistics, revision.tables)
    assert (shown.chunks, shown.sealed, shown.dead) == (900, 900, 0)
    lengths = [revision.written[chunk_id].length for chunk_id in revision.live]
    assert abs(shown.average_length / (sum(lengths) / len(lengths)) - 1) < 0.03


def test_an_index_that_grows_in_small_steps_has_few_segments(revision: Revision) -> None:
    corpus = _corpus(900)
    for start in range(0, 900, 45):
        revision.write(*corpus[start : start + 45])
        revision.seal(minimum=1)
    assert revision.database.run(keyword.statistics, revision.tables).segments <= 6


def test_chunks_deleted_while_unsealed_leave_nothing_behind(revision: Revision) -> None:
    revision.write(chunk(1, 1, ["a"]), chunk(2, 2, ["a"]))
    revision.delete_document(1)
    revision.delete_document(2)
    revision.seal()
    with revision.database.begin() as connection:
        for table in revision.tables.all:
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0


def test_a_deleted_chunk_can_be_written_anew_under_another_id(revision: Revision) -> None:
    revision.write(chunk(1, 1, ["a"]))
    revision.seal()
    revision.delete_document(1)
    revision.write(chunk(5, 1, ["a", "b"]))
    assert revision.found(words("a")) == [5]
    revision.database.run(keyword.delete_chunks, revision.tables, [5, 6])
    assert revision.found(words("a")) == []


def test_an_empty_index_and_an_empty_question_find_nothing(revision: Revision) -> None:
    assert revision.search(words("a")) == []
    revision.write(chunk(1, 1, []))
    assert revision.search(words("a")) == []
    assert revision.search(words()) == []
    assert revision.search(words("a"), limit=0) == []


def test_chunks_without_words_are_sealed_and_never_found(revision: Revision) -> None:
    revision.write(chunk(1, 1, []), chunk(2, 1, []))
    revision.seal()
    assert revision.search(words("a")) == []
    revision.write(chunk(3, 2, ["a"]))
    revision.seal()
    assert revision.search(words("a")) == revision.expected(words("a"), 10)


def test_evidence_weighs_each_word_by_how_telling_it_is(revision: Revision) -> None:
    revision.write(*[chunk(n, n, ["the", "rare"] if n == 1 else ["the"]) for n in range(1, 41)])
    shown = revision.database.run(keyword.evidence, revision.tables, words("the", "rare"), [1, 2, 99])
    assert shown[1].coverage == 1
    assert 0 < shown[2].coverage < 0.05
    assert (shown[99].score, shown[99].coverage) == (0, 0)
    unknown = revision.database.run(keyword.evidence, revision.tables, words("the", "never"), [1])
    assert unknown[1].coverage < 0.05


def test_a_term_in_every_slot_and_very_many_in_one_fit_their_rows(revision: Revision) -> None:
    everywhere = [f"e{n}" for n in range(3)]
    revision.write(*[chunk(n, n, everywhere * (1 + n % 4)) for n in range(1, SEGMENT_SLOTS)])
    revision.write(chunk(SEGMENT_SLOTS, SEGMENT_SLOTS, [*everywhere, *(f"w{n}" for n in range(5000))]))
    revision.seal(minimum=SEGMENT_SLOTS)
    assert revision.database.run(keyword.statistics, revision.tables).segments == 1
    for query in (words("e0"), words("e1", "e2", "w7"), words("w0", "w4999")):
        assert revision.search(query, 20) == revision.expected(query, 20)
