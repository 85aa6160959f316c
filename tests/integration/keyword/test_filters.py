"""A search within some documents returns the best of these, however many or few they are, and by the fast way."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from tests.explain import Explain

from ragindex_db import keyword
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.keyword.question import parameters, shape_of
from ragindex_db.keyword.search import MOST_SCORED_SINGLY
from ragindex_db.keyword.statements import ranked

from .conftest import Revision, chunk, new_revision, words

CHUNKS = MOST_SCORED_SINGLY + 2500


@pytest.fixture(scope="module")
def large(server_url: str, template: str) -> Iterator[Revision]:
    """More chunks than are scored one by one. Even documents speak of cats, odd ones of dogs, one in 500 of newts."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    identifiers = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**identifiers))
        database = Database(DatabaseSettings(url=f"{server_url}/{name}"))
        revision = new_revision(database)
        revision.write(*[_chunk(number) for number in range(1, CHUNKS + 1)])
        revision.seal()
        with database.autocommit() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        yield revision
        database.close()
        server.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**identifiers))


def _chunk(number: int) -> keyword.ChunkTerms:
    text = ["cat" if number % 2 == 0 else "dog"] * (1 + number % 3)
    text += ["newt"] * (number % 500 == 0) + ["any"] * (number % 5) + [f"only{number}"]
    return chunk(number, number, text)


def _documents(revision: Revision, condition: sa.ColumnElement[bool]) -> sa.Select[tuple[int]]:
    return sa.select(revision.tables.terms.c.document_id).where(condition)


@pytest.mark.parametrize(
    "query", [["cat"], ["newt", "dog"], ["any", "cat", "dog", "newt"], ["only77", "newt"], ["none"]]
)
@pytest.mark.parametrize("limit", [1, 10, 100])
def test_everything(large: Revision, query: list[str], limit: int) -> None:
    assert large.search(words(*query), limit) == large.expected(words(*query), limit)


@pytest.mark.parametrize("query", [["cat"], ["any", "cat", "dog"], ["only8", "newt"]])
@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(5, 12, id="a handful"),
        pytest.param(1, MOST_SCORED_SINGLY, id="as many as are scored one by one"),
        pytest.param(1, CHUNKS - 300, id="nearly all"),
        pytest.param(20_000, 30_000, id="none"),
    ],
)
def test_within(large: Revision, query: list[str], first: int, last: int) -> None:
    within = _documents(large, large.tables.terms.c.document_id.between(first, last))
    expected = large.expected(words(*query), 20, set(range(first, last + 1)))
    assert large.search(words(*query), 20, within) == expected


def test_many_visible_documents_that_match_worse_than_all_hidden_ones(large: Revision) -> None:
    document = large.tables.terms.c.document_id
    hidden = [n for n in range(1, CHUNKS + 1) if "any" in large.written[n].terms][:2400]
    within = _documents(large, document.not_in(hidden))
    visible = set(range(1, CHUNKS + 1)).difference(hidden)
    assert large.search(words("any"), 30, within) == large.expected(words("any"), 30, visible)


def test_rows_are_fetched_by_index_and_nothing_large_is_read_whole(large: Revision) -> None:
    query = words("cat", "any", "newt")
    with large.database.begin() as connection:
        statement = ranked(large.tables, shape_of(query))
        lines = connection.execute(Explain(statement), {**parameters(query), "limit": 10, "want": 18}).scalars().all()
    scans = {line.strip().removeprefix("->").split("(")[0].strip() for line in lines if "Scan" in line}
    read_whole = {scan for scan in scans if scan.startswith("Seq Scan")}
    assert not [scan for scan in read_whole if "keyword_terms" in scan or "keyword_posting" in scan], lines
    assert [scan for scan in scans if "keyword_posting" in scan and "Index" in scan], lines
