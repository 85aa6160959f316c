"""Keys, values, names and questions that try to be more than data, sent to the service over a real PostgreSQL.

What comes back is exactly what the meaning of filters in Python allows; what is refused is a 400, 404 or 422.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.integration.api.library import Library, serve

from ragindex_core.errors import InvalidInput
from ragindex_core.filters import Operator, matches, parse_filter
from ragindex_db.engine import Database, DatabaseSettings

LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
EXAMPLES = 1000 if LONG else 25

#: Marks of SQL, of its patterns, of JSON paths, of text search and of regular expressions.
HOSTILE = [
    *(
        "'",
        '"',
        "''",
        "\\",
        "\\'",
        "%",
        "_",
        "%%",
        "\\%",
        "$1",
        "$$",
        ":x",
        "%s",
        "%(x)s",
        "{0}",
        "{}",
        "?",
        ";",
        "--",
        "/*",
        "*/",
    ),
    *("'; DROP TABLE ragindex.documents; --", "' OR '1'='1", "1) OR (1=1", "x' UNION SELECT 1 --", "pg_sleep(9)"),
    *("$.a", "$[*]", "@>", "->>", "a.b", "[0]", "#>{a,b}", "'::jsonb", "NULL", "null", "true"),
    *("1", "1.0", "01", "1e0", "-0", "NaN", "2024-05-01", "2024-05-01T00:00:00Z"),
    *(":*", "a & b", "a | !b", "<->", "'a':1A", "(((", ")", "*", ".*", "[a-z]+", "^", "(?=a)"),
    *("é", "e\u0301", "\u202e", "\U0001f600", "\ufeff", "ß", "ẞ", "İ", "ı", "\u00a0", "x" * 2000),
]
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE[:40]), min_size=1, max_size=4).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)
keys = st.sampled_from([key for key in HOSTILE if len(key) <= 100 and not key.startswith("_")])
numbers = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, 1.0, -0.0, 1e300, 2**53]))
scalars = st.one_of(texts, numbers, st.booleans())
values = st.one_of(scalars, st.lists(texts, max_size=3))
metadata = st.dictionaries(keys, values, max_size=4)

# Valid filters and such as break a rule of the grammar somewhere.
wild = st.one_of(
    scalars, st.none(), st.lists(scalars, max_size=3), st.just({}), st.just("\0"), st.just(10**400), st.just([[]])
)
operators = st.sampled_from([*map(str, Operator), "like", "$where", "andAll "])


def comparison(key: st.SearchStrategy[Any], value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def of(name: str) -> st.SearchStrategy[dict[str, Any]]:
        given = st.lists(scalars, min_size=1, max_size=4) if name in ("in", "notIn") else value
        return st.fixed_dictionaries({"key": key, "value": given}).map(lambda body: {name: body})

    return operators.flatmap(of)


nodes = st.one_of(
    comparison(keys, scalars),
    comparison(keys, texts),
    comparison(st.one_of(texts, st.just("\0"), st.just("_id; --"), st.just("_secret")), wild),
)
filters = st.recursive(
    nodes,
    lambda inner: st.builds(
        lambda name, members: {name: members}, st.sampled_from(["andAll", "orAll"]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)
thorough = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@dataclass
class Shelf:
    """Documents with hostile metadata in one index, and secrets in another that nobody may see."""

    api: httpx2.Client
    metadata: dict[str, dict[str, Any]]

    def post(self, path: str, body: Any) -> httpx2.Response:
        """As JSON of any kind: also lone surrogates, and numbers that no client would send."""
        return self.api.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})


def some_metadata() -> list[dict[str, Any]]:
    """Every hostile text as a key and as a value, alone and in lists, and their look-alikes of other types."""
    made: list[dict[str, Any]] = []
    short = [text for text in HOSTILE if len(text) <= 100 and not text.startswith("_")]
    for number, text in enumerate(HOSTILE):
        key = short[number % len(short)]
        made.append({key: text, "all": text, "list": [text, short[-number % len(short)]]})
    made += [{"all": 1, "list": ["1"]}, {"all": True}, {"all": "1"}, {"all": 1.0}, {"1": 1}, {"all": 0}, {}]
    return made


@pytest.fixture(scope="module")
def shelf(server_url: str, template: str) -> Iterator[Shelf]:
    name = f"injected_{uuid.uuid4().hex[:12]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    url = f"{server_url}/{name}"
    database = Database(DatabaseSettings(url=url))
    library = Library(database)
    index, other = library.index("shelf"), library.index("secret")
    library.revision(index)
    library.revision(other)
    library.document(other, "secret.txt", "A word that nobody may read.", {"all": "'", "'": "'", "1": 1})
    known: dict[str, dict[str, Any]] = {}
    for number, fields in enumerate(some_metadata()):
        known[str(library.document(index, f"{number:03}.txt", f"A word of document{number}.", fields))] = fields
    service = serve(url, embedder=library.embedder)
    with httpx2.Client(base_url=service.url, timeout=15) as client:
        yield Shelf(client, known)
        assert len(client.get("/v1/indexes").json()["items"]) == 2, "nothing was dropped"
    service.stop()
    database.close()
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


SEARCH = "/v1/indexes/hr/shelf/search"


def allowed(shelf: Shelf, raw: object) -> set[str] | None:
    """The documents that the filter means, by the definition; None for a filter that is none."""
    try:
        expression = parse_filter(raw)
    except InvalidInput:
        return None
    return {number for number, given in shelf.metadata.items() if matches(expression, given | {"_id": number})}


@thorough
@given(raw=filters, mode=st.sampled_from(["keyword", "vector", "hybrid"]))
def test_a_filter_gives_what_it_means_and_nothing_else(shelf: Shelf, raw: Any, mode: str) -> None:
    answer = shelf.post(SEARCH, {"query": "word", "mode": mode, "filter": raw, "top_k": 100})
    expected = allowed(shelf, raw)
    if expected is None:
        assert answer.status_code in (400, 422), answer.text
        return
    assert answer.status_code == 200, answer.text
    assert {result["document"]["id"] for result in answer.json()["results"]} == expected


@pytest.mark.parametrize("operator", list(Operator))
def test_each_operator_takes_every_hostile_text_for_text(shelf: Shelf, operator: Operator) -> None:
    several = operator in (Operator.IN, Operator.NOT_IN)
    alike = () if operator in (Operator.STARTS_WITH, Operator.STRING_CONTAINS) else (0, 1)
    given_filters = [
        {operator.value: {"key": key, "value": [value] if several else value}}
        for key in ("all", "list")
        for value in (*HOSTILE, *alike)
    ]
    for start in range(0, len(given_filters), 20):
        asked = given_filters[start : start + 20]
        searches = [{"query": "word", "mode": "keyword", "filter": raw, "top_k": 100} for raw in asked]
        answer = shelf.post(SEARCH, {"searches": searches})
        assert answer.status_code == 200, answer.text
        for raw, found in zip(asked, answer.json()["searches"], strict=True):
            assert {result["document"]["id"] for result in found["results"]} == allowed(shelf, raw), raw


@thorough
@given(query=st.one_of(texts, st.text(max_size=20)), mode=st.sampled_from(["keyword", "hybrid"]))
def test_a_question_is_only_words(shelf: Shelf, query: str, mode: str) -> None:
    answer = shelf.post(SEARCH, {"query": f"{query} word", "mode": mode, "top_k": 3})
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        assert {result["document"]["id"] for result in answer.json()["results"]} <= set(shelf.metadata)


names = st.one_of(texts, st.sampled_from(["..", ".", "%2e%2e", "%00", "%ff", "a%0d%0aSet-Cookie: a=b", "x" * 3000]))
PLACES = [
    "/v1/indexes/{}/shelf",
    "/v1/indexes/hr/{}",
    "/v1/indexes/hr/{}/documents",
    "/v1/indexes/hr/shelf/documents/{}",
    "/v1/indexes/hr/shelf/documents/{}/content",
    "/v1/indexes/hr/shelf/documents?after={}",
    "/v1/indexes/hr/shelf/documents?state={}",
    "/v1/indexes/hr/shelf/documents?limit={}",
    "/v1/indexes/hr/shelf/documents/1/content?version={}",
    "/v1/indexes?{}=1",
]


@thorough
@given(name=names, place=st.sampled_from(PLACES), encoded=st.booleans())
def test_names_and_parameters_lead_nowhere_else(shelf: Shelf, name: str, place: str, encoded: bool) -> None:
    path = place.format(quote(name, safe="" if encoded else "/?&=%", errors="surrogatepass"))
    answer = shelf.api.get(path)
    assert answer.status_code in (200, 400, 404, 410, 414, 422), f"{path}: {answer.status_code} {answer.text}"
    lists_all = answer.url.path in ("/v1/indexes", "/v1/indexes/")  # a client resolves dots before it sends them
    assert "secret" not in answer.text or lists_all or answer.status_code in (404, 422)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("below", ["", "/content"])
def test_a_document_is_not_found_under_another_index(shelf: Shelf, below: str) -> None:
    secret = shelf.api.get("/v1/indexes/hr/secret/documents").json()["documents"][0]["id"]
    assert shelf.api.get(f"/v1/indexes/hr/secret/documents/{secret}{below}").status_code != 404
    assert shelf.api.get(f"/v1/indexes/hr/shelf/documents/{secret}{below}").status_code == 404


@thorough
@given(
    filename=st.one_of(
        texts, st.sampled_from(["../up.txt", "/etc/passwd", "a/../../b", "a\\..\\b", "nul\0.txt", "\ud800"])
    ),
    given_metadata=st.one_of(metadata, st.dictionaries(texts, wild, max_size=2)),
)
def test_uploads_are_kept_under_their_own_name_or_refused(
    shelf: Shelf, filename: str, given_metadata: dict[str, Any]
) -> None:
    query = f"filename={quote(filename, safe='', errors='surrogatepass')}&metadata={quote(json.dumps(given_metadata))}"
    answer = shelf.api.post(f"/v1/indexes/hr/secret/documents?{query}", content=b"words")
    assert answer.status_code in (202, 400, 413, 414, 422), answer.text
    if answer.status_code == 202:
        document = answer.json()["document"]
        sent = filename.encode(errors="surrogatepass")  # what is no UTF-8 is kept as marks of that
        assert document["uri"].endswith(sent.decode(errors="replace"))
        assert shelf.api.delete(f"/v1/indexes/hr/secret/documents/{document['id']}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "\\ud800"}',
        b'{"query": "\\u0000"}',
        b'{"query": "\xff"}',
        b'{"query": "a", "filter": ' + b'{"andAll": [' * 5000 + b"]}" * 5000 + b"}",
        b"[" * 100_000,
        b'{"query": "a", "top_k": 1e999}',
        b'{"query": "a", "top_k": ' + b"9" * 5000 + b"}",
        b'{"vector": [' + b"1e400," * 63 + b"1]}",
        b'{"query": "a", "query": "b", "__proto__": {}}',
        b"\xef\xbb\xbf{}",
        b"{}" + b" " * 900_000 + b"x",
    ],
)
def test_bodies_that_no_client_would_send_are_refused(shelf: Shelf, body: bytes) -> None:
    answer = shelf.api.post(SEARCH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
