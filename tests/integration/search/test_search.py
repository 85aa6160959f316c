"""A search: both arms, one order, grouped as asked, shown with text, place and document."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from ragindex_core.analysis import KeywordQuery
from ragindex_core.document import Location, Span
from ragindex_core.errors import InvalidInput
from ragindex_core.filters import parse_filter
from ragindex_core.object.spec import FusionMethod, RetrievalMode
from ragindex_db import keyword
from ragindex_db.search import SearchResult, Strategy, build_vector_index, get_chunks, search

Query = NDArray[np.float32]
HYBRID, KEYWORD = RetrievalMode.HYBRID, RetrievalMode.KEYWORD


def begin_snapshot(connection: Connection) -> None:
    connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def run(corpus: Any, **changes: Any) -> SearchResult:
    with corpus.database.begin() as connection:
        begin_snapshot(connection)
        return search(connection, corpus.request(**changes))


def words(*terms: str) -> KeywordQuery:
    return KeywordQuery(words=tuple((term,) for term in terms))


def shown(result: SearchResult) -> list[int]:
    return [hit.chunk.chunk_id for hit in result.hits]


def toward(query: Query, similarity: float, seed: int = 0) -> Query:
    """A vector with this cosine similarity to ``query``."""
    unit = query / np.linalg.norm(query)
    aside = np.random.default_rng(seed).normal(size=query.size)
    aside -= (aside @ unit) * unit
    aside /= np.linalg.norm(aside)
    return np.asarray(similarity * unit + np.sqrt(1 - similarity**2) * aside, dtype=np.float32)


def test_a_hit_has_its_text_place_and_document(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        document = corpus.add_document(connection, {"year": 2024}, title="Travel", language="en")
        (chunk_id,) = corpus.add_chunks(
            connection,
            document,
            [query],
            texts=["annual leave"],
            rows=[{"page": 3, "page_end": 4, "headings": ["Leave", "Annual"], "context": "Travel", "version": "abc"}],
        )
    (hit,) = run(corpus, vector=query).hits
    assert hit.score == hit.scores.vector == pytest.approx(1, abs=1e-3)
    assert hit.scores.keyword is None
    chunk = hit.chunk
    assert (chunk.chunk_id, chunk.text, chunk.span) == (chunk_id, "annual leave", Span(0, 12))
    assert chunk.location == Location(page=3, page_end=4)
    assert (chunk.headings, chunk.context, chunk.language) == (["Leave", "Annual"], "Travel", "en")
    assert (chunk.document.id, chunk.document.title, chunk.document.version) == (document, "Travel", "abc")
    assert chunk.document.uri == "file:///docs/1.txt"
    assert chunk.metadata == {"year": 2024}


def test_hybrid_scores_every_candidate_by_both_arms(corpus: Any, query: Query) -> None:
    """The second chunk is below the depth of the vector arm, and has a vector score all the same."""
    with corpus.database.begin() as connection:
        document = corpus.add_document(connection)
        near = [toward(query, 0.9, seed) for seed in range(150)]
        texts = ["plain words"] * 150 + ["rare term"]
        made = corpus.add_chunks(connection, document, [*near, toward(query, 0.1)], texts=texts)
    result = run(corpus, mode=HYBRID, vector=query, keyword=words("rare"), top_k=3, vector_weight=30)
    assert result.explanation.vector_hits == result.explanation.depth == 100
    assert (result.explanation.keyword_hits, result.explanation.candidates) == (1, 101)
    best = result.hits[0]
    assert best.chunk.chunk_id == made[-1]
    assert best.scores.vector == pytest.approx(0.1, abs=1e-2)
    assert best.scores.keyword is not None
    assert best.scores.keyword > 0
    assert best.score == pytest.approx(0.7)  # nearest to the words, farthest by vector
    assert [hit.scores.keyword for hit in result.hits[1:]] == [0, 0]


def test_the_weight_decides_between_the_arms(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        vectors = [toward(query, 0.9), toward(query, 0.2)]
        near, worded = corpus.add_chunks(connection, corpus.add_document(connection), vectors, texts=["a b", "c d"])
    asked = {"mode": HYBRID, "vector": query, "keyword": words("c")}
    assert shown(run(corpus, **asked, vector_weight=90)) == [near, worded]
    assert shown(run(corpus, **asked, vector_weight=10)) == [worded, near]
    # By ranks the second of two by vector is hardly behind the first, and the only one by words.
    by_ranks = run(corpus, **asked, fusion=FusionMethod.RRF, vector_weight=90)
    assert shown(by_ranks) == [worded, near]
    assert shown(run(corpus, **asked, fusion=FusionMethod.RRF, vector_weight=100)) == [near, worded]


def test_hybrid_runs_with_the_arm_it_has(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        made = corpus.add_chunks(connection, corpus.add_document(connection), [query, -query], texts=["a b", "c d"])
    by_words = run(corpus, mode=HYBRID, keyword=words("c"))
    assert shown(by_words) == [made[1]]
    assert by_words.hits[0].scores.vector is None
    assert by_words.hits[0].score == by_words.hits[0].scores.keyword
    assert shown(run(corpus, mode=HYBRID, vector=query)) == made
    assert shown(run(corpus, mode=KEYWORD, vector=query, keyword=words("c"))) == [made[1]]
    with pytest.raises(InvalidInput, match="query: mode Keyword"):
        run(corpus, mode=KEYWORD, vector=query)


def test_a_filter_holds_for_both_arms(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        for year in (2023, 2024, 2025):
            corpus.add_chunks(connection, corpus.add_document(connection, {"year": year}), [query], texts=["a b"])
    later = parse_filter({"greaterThan": {"key": "year", "value": 2023}})
    for mode in RetrievalMode:
        result = run(corpus, mode=mode, vector=query, keyword=words("a"), filter=later)
        assert [hit.chunk.metadata["year"] for hit in result.hits] == [2024, 2025]


def test_the_same_question_has_the_same_answer(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        for number in range(30):
            vectors = [toward(query, 0.5, seed % 3) for seed in range(4)]
            texts = ["a b", "a c", "b c", "a b"]
            corpus.add_chunks(connection, corpus.add_document(connection, {"n": number}), vectors, texts=texts)
    for mode in RetrievalMode:
        first, *others = [run(corpus, mode=mode, vector=query, keyword=words("a", "c"), top_k=50) for _ in range(3)]
        assert all(other.hits == first.hits for other in others)
        assert len(first.hits) == 50


def test_group_by_document_keeps_the_best_chunk_of_each(corpus: Any, query: Query) -> None:
    """One document has more chunks at the top than an arm reads at first."""
    with corpus.database.begin() as connection:
        big = corpus.add_document(connection)
        corpus.add_chunks(connection, big, [toward(query, 0.9 - n / 1000, n) for n in range(150)])
        small = [corpus.add_document(connection) for _ in range(5)]
        best = [
            corpus.add_chunks(connection, document, [toward(query, 0.3 - at / 100, at), toward(query, 0.1, at)])[0]
            for at, document in enumerate(small)
        ]
    result = run(corpus, vector=query, group_by_document=True, top_k=4)
    assert [hit.chunk.document.id for hit in result.hits] == [big, *small[:3]]
    assert shown(result)[1:] == best[:3]
    assert result.explanation.rounds > 1
    assert len(run(corpus, vector=query, group_by_document=True, top_k=20).hits) == 6


def _section(ordinal: int, text: str) -> dict[str, Any]:
    start = ordinal * 100
    return {"ordinal": ordinal, "level": 1, "text": text, "span_start": start, "span_end": start + len(text)}


@pytest.fixture
def sections(corpus: Any, query: Query) -> tuple[list[int], list[list[int]]]:
    """Two sections, of three and two paragraphs."""
    with corpus.database.begin() as connection:
        document = corpus.add_document(connection)
        made_sections, made_paragraphs = [], []
        for at, (first, similarities) in enumerate([(0, (0.9, 0.2, 0.6)), (10, (0.7, 0.1))]):
            (section,) = corpus.add_chunks(connection, document, [None], rows=[_section(first, f"section {at}")])
            rows = [
                {"ordinal": first + 1 + n, "level": 2, "section": section, "text": f"paragraph {n}"}
                for n in range(len(similarities))
            ]
            vectors = [toward(query, similarity, at) for similarity in similarities]
            made_sections.append(section)
            made_paragraphs.append(corpus.add_chunks(connection, document, vectors, rows=rows))
    return made_sections, made_paragraphs


def test_hierarchical_shows_the_section_and_what_was_found_in_it(
    corpus: Any, query: Query, sections: tuple[list[int], list[list[int]]]
) -> None:
    (first, second), (in_first, _) = sections
    result = run(corpus, vector=query, hierarchical=True, top_k=1)
    assert shown(result) == [first]
    (hit,) = result.hits
    assert hit.chunk.text == "section 0"
    assert [one.chunk_id for one in hit.matched] == [in_first[0], in_first[2], in_first[1]]
    assert hit.matched[0].score == hit.score == hit.scores.vector
    assert shown(run(corpus, vector=query, hierarchical=True, top_k=5)) == [first, second]
    assert shown(run(corpus, vector=query, hierarchical=True, group_by_document=True)) == [first]


def test_neighbours_of_a_section_are_sections(
    corpus: Any, query: Query, sections: tuple[list[int], list[list[int]]]
) -> None:
    (first, second), _ = sections
    (hit,) = run(corpus, vector=query, hierarchical=True, top_k=1, neighbours=2).hits
    assert hit.chunk.chunk_id == first
    assert hit.surroundings is not None
    assert [one.chunk_id for one in hit.surroundings.after] == [second]


CONTENT = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def overlapping(corpus: Any, query: Query) -> list[int]:
    """Five chunks of eight characters, each of which begins before the last one ends."""
    spans = [(0, 8), (5, 13), (10, 18), (15, 23), (18, 26)]
    with corpus.database.begin() as connection:
        made: list[int] = corpus.add_chunks(
            connection,
            corpus.add_document(connection),
            [toward(query, similarity) for similarity in (0.1, 0.2, 0.9, 0.3, 0.15)],
            texts=[CONTENT[start:end] for start, end in spans],
            rows=[{"span_start": start, "span_end": end} for start, end in spans],
        )
    return made


def test_neighbours_continue_the_text_without_repeating_it(corpus: Any, query: Query, overlapping: list[int]) -> None:
    (hit,) = run(corpus, vector=query, top_k=1, neighbours=2).hits
    around = hit.surroundings
    assert around is not None
    assert [one.chunk_id for one in (*around.before, *around.after)] == [overlapping[at] for at in (0, 1, 3, 4)]
    beside = [*around.before, *around.after]
    assert all(one.span.of(CONTENT) == one.text for one in beside)
    texts = [*(one.text for one in around.before), hit.chunk.text, *(one.text for one in around.after)]
    assert "".join(texts) == CONTENT


def test_no_chunk_is_shown_twice(corpus: Any, query: Query, overlapping: list[int]) -> None:
    result = run(corpus, vector=query, top_k=2, neighbours=2)
    around = [
        one for hit in result.hits if hit.surroundings for one in (*hit.surroundings.before, *hit.surroundings.after)
    ]
    every = [*shown(result), *(one.chunk_id for one in around)]
    assert sorted(every) == sorted(overlapping)


def test_chunks_come_in_the_order_asked_for_without_those_that_are_gone(
    corpus: Any, query: Query, overlapping: list[int]
) -> None:
    asked = [overlapping[2], 10**9, overlapping[0]]
    found = corpus.database.run(get_chunks, corpus.tables, asked)
    assert [chunk.chunk_id for chunk in found] == [overlapping[2], overlapping[0]]


def test_a_search_sees_one_state_of_the_revision(corpus: Any, query: Query) -> None:
    """All chunks are replaced after the arms ran and before the texts are read, as nearly as a test can say so."""
    with corpus.database.begin() as connection:
        document = corpus.add_document(connection)
        made = corpus.add_chunks(connection, document, [query], texts=["old text"])
    with corpus.database.begin() as connection:
        begin_snapshot(connection)
        assert shown(search(connection, corpus.request(vector=query))) == made
        replaced = threading.Thread(target=_replace, args=(corpus, document, query))
        replaced.start()
        replaced.join(timeout=30)
        assert not replaced.is_alive()
        assert [hit.chunk.text for hit in search(connection, corpus.request(vector=query)).hits] == ["old text"]
    assert [hit.chunk.text for hit in run(corpus, vector=query).hits] == ["new text"]


def _replace(corpus: Any, document: int, query: Query) -> None:
    with corpus.database.begin() as connection:
        for table in (corpus.tables.vector, corpus.tables.chunk):
            connection.execute(sa.delete(table).where(table.c.document_id == document))
        keyword.delete_documents(connection, corpus.tables.keyword, [document])
        corpus.add_chunks(connection, document, [query], texts=["new text"])


def test_the_plainest_search_takes_one_statement_and_finds_the_same(corpus: Any, query: Query) -> None:
    corpus.fill(30, 10)
    for has_index in (False, True):
        if has_index:
            build_vector_index(corpus.database, corpus.tables, m=16, ef_construction=64)
        for top_k in (10, 1000):
            stepwise, at_once = (run(corpus, vector=query, top_k=top_k, has_index=known) for known in (None, has_index))
            assert at_once.hits == stepwise.hits
            assert len(at_once.hits) == min(top_k, 300)
            assert ("fetch" in at_once.timings_ms) == (has_index and top_k == 1000)  # the index brought too few


def test_the_explanation_says_how_it_was_found(corpus: Any, query: Query) -> None:
    corpus.fill(30, 10, tenant=lambda number: number % 3)
    plain = run(corpus, vector=query)
    assert plain.explanation.strategy is Strategy.EXACT
    assert plain.explanation.keyword_hits is None
    assert set(plain.timings_ms) == {"vector", "fetch", "total"}
    build_vector_index(corpus.database, corpus.tables, m=16, ef_construction=64)
    assert run(corpus, vector=query).explanation.strategy is Strategy.HNSW
    third = parse_filter({"equals": {"key": "tenant", "value": 1}})
    filtered = run(corpus, vector=query, filter=third).explanation
    assert (filtered.strategy, filtered.matching_chunks) == (Strategy.EXACT, 100)
