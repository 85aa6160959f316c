"""The filter in SQL matches what the filter in Python matches, and finds it through indexes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.explain import Explain

from ragindex_core.filters import AllOf, AnyOf, Comparison, Filter, Operator, matches, parse_filter
from ragindex_db.schema import document_metadata, documents
from ragindex_db.search import matching_documents, replace_document_metadata
from ragindex_db.search.filter_sql import document_matches

texts = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3),
    st.sampled_from(["a", "ab", "abc", "Z", "é", "x" * 200, "x" * 201, "x" * 202 + "y", "\U0001f600", "%", "_"]),
    st.sampled_from(["2024-05-01", "2024-05-01T00:00:00Z", "2024-05-01T02:00:00+02:00", "2024-05-01T00:00:00.5Z"]),
)
numbers = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, 1.0, -0.0, 1e300, 10**400, float("nan"), float("inf")]))
scalars = st.one_of(texts, numbers, st.booleans())
lists = st.lists(scalars, max_size=3)
keys = st.sampled_from(["a", "b", "c"])
metadata = st.dictionaries(keys, st.one_of(scalars, lists), max_size=3)
titles = st.none() | st.sampled_from(["a", "ab", "B"])

finite = st.one_of(texts, st.sampled_from([-2, -1, 0, 1, 2, 0.5, 1.0, 1e300]), st.booleans())
orderable = st.one_of(texts, st.sampled_from([-1, 0, 1, 0.5]))


def comparison(operator: Operator) -> st.SearchStrategy[Comparison]:
    on = st.one_of(keys, st.just("_title"))
    if operator in (Operator.IN, Operator.NOT_IN):
        return st.builds(Comparison, st.just(operator), on, st.lists(finite, min_size=1, max_size=4).map(tuple))
    if operator in (Operator.STARTS_WITH, Operator.STRING_CONTAINS):
        return st.builds(Comparison, st.just(operator), on, st.tuples(texts))
    if operator in (Operator.EQUALS, Operator.NOT_EQUALS, Operator.LIST_CONTAINS):
        return st.builds(Comparison, st.just(operator), on, st.tuples(finite))
    return st.builds(Comparison, st.just(operator), on, st.tuples(orderable))


def groups(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    members = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(AllOf, members), st.builds(AnyOf, members))


filters: st.SearchStrategy[Filter] = st.recursive(
    st.sampled_from(list(Operator)).flatmap(comparison), groups, max_leaves=8
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(metadata, titles), max_size=6), filters)
def test_sql_and_python_agree(corpus: Any, made: list[tuple[dict[str, Any], str | None]], expression: Filter) -> None:
    with corpus.database.engine.connect() as connection:  # rolled back: each example begins with nothing
        expected = set()
        for fields, title in made:
            document_id = corpus.add_document(connection, title=title, key=str(len(corpus.metadata)))
            replace_document_metadata(connection, corpus.index_id, {document_id: fields})
            if matches(expression, fields | ({} if title is None else {"_title": title})):
                expected.add(document_id)
        found = list(connection.execute(matching_documents(corpus.index_id, expression)).scalars())
        assert len(found) == len(set(found))
        assert set(found) == expected
        one_by_one = sa.select(documents.c.id).where(document_matches(expression, documents.c.id))
        assert set(connection.execute(one_by_one).scalars()) == expected


@pytest.fixture
def connection(corpus: Any) -> Any:
    with corpus.database.begin() as connection:
        yield connection


def found(connection: Connection, corpus: Any, raw: Mapping[str, Any]) -> list[int]:
    return sorted(connection.execute(matching_documents(corpus.index_id, parse_filter(raw))).scalars())


def test_every_document_can_be_filtered_by_what_ragindex_knows_of_it(corpus: Any, connection: Connection) -> None:
    one = corpus.add_document(
        connection,
        key="a/b.txt",
        uri="s3://bucket/a/b.txt",
        title="Travel",
        language="en",
        media_type="text/plain",
        modified_at=datetime(2024, 5, 1, 12, tzinfo=UTC),
    )
    corpus.add_document(connection, source="other")

    def holds(name: str, key: str, value: Any) -> bool:
        return found(connection, corpus, {name: {"key": key, "value": value}}) == [one]

    assert holds("equals", "_id", str(one))
    assert not holds("equals", "_id", f"0{one}")
    assert not holds("equals", "_id", one)
    assert holds("in", "_source", ["docs", 1])
    assert holds("notEquals", "_source", "other")
    assert holds("startsWith", "_key", "a/")
    assert holds("stringContains", "_uri", "bucket")
    assert holds("equals", "_title", "Travel")
    assert holds("lessThan", "_title", "Travem")
    assert holds("equals", "_language", "en")
    assert holds("equals", "_mediaType", "text/plain")
    assert holds("greaterThan", "_modified", "2024-05-01T13:59:00+02:00")
    assert not holds("greaterThan", "_modified", "2024-05-01T12:00:00Z")


def test_a_missing_title_is_not_equal_to_any(corpus: Any, connection: Connection) -> None:
    one = corpus.add_document(connection, title=None)
    assert found(connection, corpus, {"notEquals": {"key": "_title", "value": "x"}}) == [one]
    assert found(connection, corpus, {"notIn": {"key": "_title", "value": ["x"]}}) == [one]


def test_deleted_documents_match_nothing(corpus: Any, connection: Connection) -> None:
    corpus.add_document(connection, deleted_at=datetime(2024, 1, 1, tzinfo=UTC))
    assert found(connection, corpus, {"notEquals": {"key": "a", "value": 1}}) == []


def test_other_indexes_match_nothing(corpus: Any, connection: Connection) -> None:
    corpus.add_document(connection, {"a": 1})
    for name in ("equals", "notIn"):
        raw = {name: {"key": "a", "value": 1 if name == "equals" else [2]}}
        statement = matching_documents(corpus.index_id + 1, parse_filter(raw))
        assert connection.execute(statement).all() == []


def test_metadata_is_replaced_as_a_whole(corpus: Any, connection: Connection) -> None:
    one = corpus.add_document(connection, {"a": ["x", "y", "x"], "b": "2024-05-01", "_own": 1, "k" * 101: 1})
    rows = connection.execute(sa.select(document_metadata.c.key, document_metadata.c.position)).all()
    assert sorted(map(tuple, rows)) == [("a", 0), ("a", 1), ("b", -1), ("b", 0)]
    replace_document_metadata(connection, corpus.index_id, {one: {"c": True}})
    assert connection.execute(sa.select(document_metadata.c.key)).scalars().all() == ["c"]


def test_values_are_never_part_of_the_statement(corpus: Any, connection: Connection) -> None:
    hostile = "x'; DROP TABLE ragindex.documents; --"
    one = corpus.add_document(connection, {hostile: hostile})
    for name in ("equals", "startsWith", "stringContains", "greaterThanOrEquals"):
        assert found(connection, corpus, {name: {"key": hostile, "value": hostile}}) == [one]
        statement = matching_documents(corpus.index_id, parse_filter({name: {"key": hostile, "value": hostile}}))
        assert "DROP" not in str(statement.compile(connection))


TEXTS, NUMBERS, BOOLEANS = (f"document_metadata_{kind}_idx" for kind in ("text", "number", "boolean"))
SELECTIVE: list[tuple[dict[str, Any], str]] = [
    ({"equals": {"key": "name", "value": "name 77"}}, TEXTS),
    ({"in": {"key": "name", "value": ["name 77", "name 78"]}}, TEXTS),
    ({"startsWith": {"key": "name", "value": "name 77"}}, TEXTS),
    ({"greaterThan": {"key": "name", "value": "name 998"}}, TEXTS),
    ({"listContains": {"key": "tags", "value": "tag 77"}}, TEXTS),
    ({"equals": {"key": "number", "value": 77}}, NUMBERS),
    ({"lessThan": {"key": "number", "value": 7}}, NUMBERS),
    ({"greaterThan": {"key": "day", "value": "2024-12-27"}}, NUMBERS),
    ({"equals": {"key": "rare", "value": True}}, BOOLEANS),
]


def test_selective_filters_read_an_index(corpus: Any) -> None:
    with corpus.database.begin() as connection:
        for number in range(600):
            made = {
                "name": f"name {number}",
                "number": number,
                "day": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}",
                "rare": number == 77,
                "tags": [f"tag {number}", "common"],
            }
            corpus.add_document(connection, made)
    corpus.analyse()
    with corpus.database.begin() as connection:
        for raw, index in SELECTIVE:
            plan = explain(connection, matching_documents(corpus.index_id, parse_filter(raw)))
            assert index in plan, raw
            assert "Seq Scan on document_metadata" not in plan, raw


def explain(connection: Connection, statement: Any) -> str:
    return "\n".join(connection.execute(Explain(statement)).scalars())
