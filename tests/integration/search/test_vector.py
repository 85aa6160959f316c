"""The vector arm: exact where it must be, by the index where it can be, never fewer rows than there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import Connection
from tests.explain import Explain

from ragindex_core.errors import InvalidInput
from ragindex_core.filters import matches, parse_filter
from ragindex_core.object.spec import Distance
from ragindex_db.data_tables import revision_tables
from ragindex_db.search import FilterIn, Strategy, build_vector_index, seal_vectors
from ragindex_db.search.vector import (
    VectorHits,
    capped_statement,
    exact_statement,
    index_statement,
    prepared_query,
    search_vectors,
)

Query = NDArray[np.float32]


def run(corpus: Any, query: Query, limit: int, **options: Any) -> VectorHits:
    with corpus.database.begin() as connection:
        return search_vectors(connection, corpus.tables, prepared_query(corpus.tables, query), limit, **options)


def within(corpus: Any, raw: dict[str, Any]) -> FilterIn:
    return FilterIn(corpus.index_id, parse_filter(raw))


def ids(found: VectorHits) -> list[int]:
    return [hit.chunk_id for hit in found.hits]


def build(corpus: Any) -> None:
    build_vector_index(corpus.database, corpus.tables, m=16, ef_construction=64)


def recall(found: list[int], expected: list[int]) -> float:
    return len(set(found) & set(expected)) / len(expected)


def test_without_an_index_the_nearest_are_found_exactly_and_in_order(corpus: Any, query: Query) -> None:
    corpus.fill(20, 10)
    found = run(corpus, query, 15)
    assert found.strategy is Strategy.EXACT
    assert ids(found) == corpus.nearest(query, 15)
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)


def test_the_score_is_cosine_similarity_whatever_the_length_of_the_vectors(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        corpus.add_chunks(connection, corpus.add_document(connection), [query * 3, -query, query * 0.01])
    scores = [hit.score for hit in run(corpus, query * 1000, 3).hits]
    assert scores == pytest.approx([1, 1, -1], abs=1e-3)


def test_equal_scores_come_in_the_order_of_their_ids(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        made = corpus.add_chunks(connection, corpus.add_document(connection), [query] * 30)
    assert ids(run(corpus, query, 20)) == made[:20]


def test_the_index_finds_nearly_all_and_the_head_beside_it(corpus: Any, query: Query) -> None:
    corpus.fill(100, 30, seed=1)
    build(corpus)
    corpus.fill(5, 10, seed=2, sealed=False)
    random = np.random.default_rng(3)
    shares = []
    for _ in range(20):
        asked = random.normal(size=query.size).astype(np.float32)
        found = run(corpus, asked, 10)
        assert found.strategy is Strategy.HNSW
        assert len(found.hits) == 10
        assert ids(found) == ids(run(corpus, asked, 10))
        shares.append(recall(ids(found), corpus.nearest(asked, 10)))
    assert np.mean(shares) >= 0.95
    newest = max(corpus.vectors)
    assert ids(run(corpus, corpus.vectors[newest], 1)) == [newest]


def test_sealing_moves_the_head_into_the_index_and_changes_no_result(corpus: Any, query: Query) -> None:
    corpus.fill(3, 10, sealed=False)
    build(corpus)
    before = ids(run(corpus, query, 10))
    with corpus.database.begin() as connection:
        assert seal_vectors(connection, corpus.tables, 20) == 20
        assert seal_vectors(connection, corpus.tables, 20) == 10
        assert seal_vectors(connection, corpus.tables, 20) == 0
    assert ids(run(corpus, query, 10)) == before == corpus.nearest(query, 10)


def test_what_the_caller_knows_of_the_index_may_be_out_of_date(corpus: Any, query: Query) -> None:
    corpus.fill(20, 10)
    expected = corpus.nearest(query, 10)
    assert ids(run(corpus, query, 10, has_index=True)) == expected
    build(corpus)
    found = run(corpus, query, 10, has_index=False)
    assert (found.strategy, ids(found)) == (Strategy.EXACT, expected)


def test_the_scan_of_the_index_reads_the_settings_of_its_own_statement(corpus: Any, query: Query) -> None:
    """With a list as short as it can be, a search finds less than with a long one."""
    corpus.fill(100, 30, seed=1)
    build(corpus)
    prepared = prepared_query(corpus.tables, query)
    with corpus.database.begin() as connection:
        search_vectors(connection, corpus.tables, prepared, 10, ef_search=300)
        settings = ("hnsw.ef_search", "hnsw.iterative_scan", "hnsw.max_scan_tuples")
        values = connection.execute(sa.select(*(sa.func.current_setting(name) for name in settings))).one()
    assert tuple(values) == ("300", "relaxed_order", "100000")
    shares = []
    for ef_search in (1, 200):
        random = np.random.default_rng(3)
        found = []
        for _ in range(20):
            asked = random.normal(size=query.size).astype(np.float32)
            hits = ids(run(corpus, asked, 1, ef_search=ef_search))
            found.append(recall(hits, corpus.nearest(asked, 1)))
        shares.append(np.mean(found))
    assert shares[0] < shares[1] == 1


def test_an_index_that_brings_too_few_is_not_believed(corpus: Any, query: Query) -> None:
    corpus.fill(4, 10)
    build(corpus)
    found = run(corpus, query, 60)
    assert found.strategy is Strategy.HNSW_THEN_EXACT
    assert ids(found) == corpus.nearest(query, 60)


def test_deleted_chunks_are_not_found_and_do_not_shorten_the_answer(corpus: Any, query: Query) -> None:
    corpus.fill(10, 20)
    build(corpus)
    table = corpus.tables.vector
    for chunk_id in corpus.nearest(query, 150):
        del corpus.vectors[chunk_id]
    with corpus.database.begin() as connection:
        connection.execute(sa.delete(table).where(table.c.chunk_id.not_in(list(corpus.vectors))))
    assert ids(run(corpus, query, 30)) == corpus.nearest(query, 30)


def test_few_chunks_behind_a_filter_are_searched_exactly(corpus: Any, query: Query) -> None:
    corpus.fill(50, 20, tenant=lambda number: number % 10)
    build(corpus)
    found = run(corpus, query, 10, within=within(corpus, {"equals": {"key": "tenant", "value": 3}}))
    visible = {document for document, fields in corpus.metadata.items() if fields["tenant"] == 3}
    assert (found.strategy, found.matching) == (Strategy.EXACT, 100)
    assert ids(found) == corpus.nearest(query, 10, visible)


def test_many_chunks_behind_a_filter_are_searched_by_the_index(corpus: Any, query: Query) -> None:
    corpus.fill(100, 20, tenant=lambda number: number % 5, parity=lambda number: number % 2 == 0)
    build(corpus)
    corpus.fill(5, 4, seed=5, sealed=False, tenant=lambda _: 3, parity=lambda _: True)
    for raw in (
        {"equals": {"key": "tenant", "value": 3}},
        {"andAll": [{"notEquals": {"key": "tenant", "value": 3}}, {"equals": {"key": "parity", "value": True}}]},
        {"orAll": [{"equals": {"key": "tenant", "value": 1}}, {"greaterThan": {"key": "tenant", "value": 3}}]},
    ):
        found = run(corpus, query, 10, within=within(corpus, raw), most_exact=50)
        visible = {d for d, fields in corpus.metadata.items() if matches(parse_filter(raw), fields)}
        assert (found.strategy, found.matching) == (Strategy.HNSW, 51)
        assert {corpus.document_of[i] for i in ids(found)} <= visible
        assert recall(ids(found), corpus.nearest(query, 10, visible)) >= 0.9


def test_a_filter_that_matches_nothing_finds_nothing(corpus: Any, query: Query) -> None:
    corpus.fill(3, 3)
    nothing = within(corpus, {"equals": {"key": "tenant", "value": 3}})
    assert run(corpus, query, 10, within=nothing).hits == []
    build(corpus)
    assert run(corpus, query, 10, within=nothing) == VectorHits([], Strategy.EXACT, 0)


def test_filters_that_python_takes_for_equal_are_not_the_same(corpus: Any, query: Query) -> None:
    with corpus.database.begin() as connection:
        made = [
            corpus.add_chunks(connection, corpus.add_document(connection, {"a": value}), [query])[0]
            for value in (1, True)
        ]
    for chunk_id, value in zip(made, (1, True), strict=True):
        found = run(corpus, query, 5, within=within(corpus, {"equals": {"key": "a", "value": value}}))
        assert ids(found) == [chunk_id]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_there_are_always_as_many_as_match(data: st.DataObject, corpus: Any, query: Query) -> None:
    if not corpus.vectors:
        corpus.fill(40, 5, a=lambda number: number, b=lambda number: f"group {number % 4}")
        build(corpus)
        corpus.fill(6, 5, seed=7, sealed=False, a=lambda number: number, b=lambda _: "group 1")
    leaves = st.one_of(
        st.builds(lambda v: {"lessThan": {"key": "a", "value": v}}, st.integers(0, 45)),
        st.builds(lambda v: {"equals": {"key": "b", "value": f"group {v}"}}, st.integers(0, 4)),
        st.builds(lambda v: {"notIn": {"key": "a", "value": v}}, st.lists(st.integers(0, 45), min_size=1, max_size=5)),
    )
    groups = st.builds(
        lambda name, members: {name: members},
        st.sampled_from(["andAll", "orAll"]),
        st.lists(leaves, min_size=1, max_size=3),
    )
    raw: dict[str, Any] = data.draw(leaves | groups)
    limit = data.draw(st.integers(1, 250))
    visible = {d for d, fields in corpus.metadata.items() if matches(parse_filter(raw), fields)}
    matching = [i for i, document in corpus.document_of.items() if document in visible]
    few = data.draw(st.sampled_from([0, 30, 10_000]))  # so that the small corpus meets every strategy
    found = ids(run(corpus, query, limit, within=within(corpus, raw), most_exact=few))
    assert len(found) == len(set(found)) == min(limit, len(matching))
    assert set(found) <= set(matching)


def test_the_other_distances_order_by_their_own_measure(corpus: Any, query: Query) -> None:
    corpus.fill(5, 10)
    asked = query.astype(np.float16).astype(np.float32)

    def order(distance: Distance) -> tuple[list[int], list[float]]:
        with corpus.database.begin() as connection:
            prepared = prepared_query(corpus.tables, query, distance)
            hits = search_vectors(connection, corpus.tables, prepared, 50, distance=distance).hits
        return [hit.chunk_id for hit in hits], [hit.score for hit in hits]

    inner = {i: float(each @ asked) for i, each in corpus.vectors.items()}
    found, scores = order(Distance.INNER_PRODUCT)
    assert found == sorted(inner, key=lambda i: -inner[i])
    assert scores == pytest.approx([inner[i] for i in found], rel=1e-4)
    far = {i: float(np.linalg.norm(each - asked)) for i, each in corpus.vectors.items()}
    found, scores = order(Distance.L2)
    assert found == sorted(far, key=lambda i: far[i])
    assert scores == pytest.approx([1 / (1 + far[i]) for i in found], rel=1e-4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0] * 31, "must be 32 numbers"),
        ([[1.0] * 32], "must be 32 numbers"),
        ([float("nan")] * 32, "finite"),
        ([0.0] * 32, "direction"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(values: Any, words: str) -> None:
    tables = revision_tables(1, 32, "HalfVector")
    with pytest.raises(InvalidInput, match=f"^vector: .*{words}"):
        prepared_query(tables, values)


def test_long_vectors_fit_half_precision_when_only_their_direction_counts() -> None:
    tables = revision_tables(1, 32, "HalfVector")
    assert prepared_query(tables, [1e30] * 32) == prepared_query(tables, [1.0] * 32)
    with pytest.raises(InvalidInput, match="too large"):
        prepared_query(tables, [1e30] * 32, Distance.L2)


def plan(connection: Connection, statement: Any, query: Query, corpus: Any) -> str:
    values = {"query": prepared_query(corpus.tables, query)}
    return "\n".join(connection.execute(Explain(statement), values).scalars())


def test_the_index_serves_the_statement_made_for_it_and_no_other(corpus: Any, query: Query) -> None:
    corpus.fill(100, 30, tenant=lambda number: number % 2)
    build(corpus)
    corpus.analyse()
    half = within(corpus, {"equals": {"key": "tenant", "value": 1}})
    with corpus.database.begin() as connection:
        for filter_in in (None, half):
            statement = index_statement(corpus.tables, Distance.COSINE, filter_in, 10, 100)
            by_index = plan(connection, statement, query, corpus)
            exact = plan(connection, exact_statement(corpus.tables, Distance.COSINE, filter_in, 10), query, corpus)
            assert corpus.tables.vector_index_name in by_index
            assert "Seq Scan on vector_1" not in by_index
            assert "Merge Append" not in by_index  # which would believe that the index brings rows in order
            assert corpus.tables.vector_index_name not in exact
        capped = plan(connection, capped_statement(corpus.tables, Distance.COSINE, half, 10, 10), query, corpus)
        assert corpus.tables.vector_index_name not in capped
        assert "vector_1_document_idx" in capped
