"""Hand-written SQL over the very tables of an index: what RagIndex's own statements are held against.

All return what an answer of the service is made
of, and read the query's vector, as halfvec, from a table by its number ``:n``, so that none is sent or parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql

from benchmarks.corpus import Query, Selection, as_numbers
from benchmarks.stage import Index, Stage, number_of

TOP_K = 10
EF_SEARCH = 100  # the default of spec.retrieval
#: A generic plan, so that nothing is planned again; the custom one would be the same.
SESSION = f"-c jit=off -c plan_cache_mode=force_generic_plan -c hnsw.ef_search={EF_SEARCH}"
FILTERED_SESSION = (
    f"{SESSION} -c hnsw.iterative_scan=relaxed_order -c hnsw.max_scan_tuples=200000 -c hnsw.scan_mem_multiplier=4"
)

_QUERY_TABLE = (
    sa.text("DROP TABLE IF EXISTS ragindex_data.benchmark_query"),
    sa.text("CREATE TABLE ragindex_data.benchmark_query (id int PRIMARY KEY, embedding halfvec(384) NOT NULL)"),
    sa.text("ALTER TABLE ragindex_data.benchmark_query ALTER embedding SET STORAGE PLAIN"),
)
_QUERY_ROW = sa.text("INSERT INTO ragindex_data.benchmark_query VALUES (:id, CAST(:vector AS halfvec))")

_SHOWN = sql.SQL("""
SELECT near.distance, c.id, c.document_id, d.uri, d.title, c.version, c.text, c.span_start, c.span_end, c.page,
       c.page_end, c.sheet, c.cells, c.start_ms, c.end_ms, c.speaker, c.headings,
       coalesce(c.language, d.language) AS language, d.metadata
FROM ({near}) near
JOIN {chunk} c ON c.id = near.chunk_id
JOIN ragindex.documents d ON d.id = c.document_id
ORDER BY near.distance
""")
_NEAREST = sql.SQL("""
    SELECT v.chunk_id, v.embedding <=> {query} AS distance
    FROM {vector} v WHERE v.sealed ORDER BY distance LIMIT 10
""")
# Few match: the documents first, through the index of the metadata, then every one of their vectors.
_EXACT = sql.SQL("""
    WITH visible AS MATERIALIZED (SELECT m.document_id FROM ragindex.document_metadata m WHERE {matches})
    SELECT v.chunk_id, v.embedding <=> {query} AS distance
    FROM visible JOIN {vector} v USING (document_id) ORDER BY distance LIMIT 10
""")
# Many match: near ones first, through the vector index, which goes on until enough have matched.
_ITERATIVE = sql.SQL("""
    SELECT chunk_id, distance FROM (
        SELECT v.chunk_id, v.embedding <=> {query} AS distance
        FROM {vector} v
        WHERE v.sealed AND (
            SELECT true FROM ragindex.document_metadata m WHERE m.document_id = v.document_id AND {matches} LIMIT 1
        )
        ORDER BY distance LIMIT 10
    ) relaxed ORDER BY distance + 0
""")
_QUERY = sql.SQL("(SELECT embedding FROM ragindex_data.benchmark_query WHERE id = {number})")
_NUMBER = sql.SQL(
    "m.index_id = {index} AND m.key = {key} AND m.position = 0 AND NOT m.is_list AND number_value = {value}"
)
_TRUE = sql.SQL("m.index_id = {index} AND m.key = {key} AND m.position = 0 AND NOT m.is_list AND boolean_value")


@dataclass(frozen=True, slots=True)
class Rival:
    """One statement; ``settings`` are of the session that it needs."""

    name: str
    near: sql.SQL
    index: Index
    settings: str = SESSION
    matches: sql.Composable | None = None

    def script(self, queries: int) -> str:
        """For pgbench: a query drawn by chance each time."""
        return f"\\set n random(1, {queries})\n{self._statement(sql.SQL(':n')).as_string(None)}"

    @contextmanager
    def asked(self, stage: Stage) -> Iterator[Callable[[int], list[int]]]:
        """From Python, by a prepared statement with rows in binary: the passages found for the query of a number."""
        statement = self._statement(sql.Placeholder())
        url = sa.make_url(stage.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, options=self.settings, autocommit=True) as connection:

            def ask(number: int) -> list[int]:
                with connection.cursor(binary=True) as cursor:
                    rows = cursor.execute(statement, (number,), prepare=True).fetchall()
                return [number_of(row[3], row[7]) for row in rows]

            yield ask

    def _statement(self, number: sql.Composable) -> sql.Composed:
        tables = self.index.tables
        named = {
            "query": _QUERY.format(number=number),
            "vector": _named(tables.vector),
            "matches": self.matches or sql.SQL("true"),
        }
        return _SHOWN.format(near=self.near.format(**named), chunk=_named(tables.chunk))


def nearest(index: Index) -> Rival:
    return Rival("nearest", _NEAREST, index)


def filtered(index: Index, selection: Selection) -> tuple[Rival, Rival]:
    """Both ways of going about it."""
    kind = _TRUE if isinstance(selection.value, bool) else _NUMBER
    matches = kind.format(
        index=sql.Literal(index.row.id), key=sql.Literal(selection.key), value=sql.Literal(selection.value)
    )
    return (
        Rival("exact", _EXACT, index, matches=matches),
        Rival("iterative", _ITERATIVE, index, FILTERED_SESSION, matches),
    )


def _named(table: sa.Table) -> sql.Identifier:
    return sql.Identifier(str(table.schema), table.name)


def put_queries(stage: Stage, queries: Sequence[Query]) -> None:
    """Where the statements find their vectors: numbered from 1."""
    with stage.database.begin() as connection:
        for statement in _QUERY_TABLE:
            connection.execute(statement)
        connection.execute(
            _QUERY_ROW, [{"id": n, "vector": str(as_numbers(query))} for n, query in enumerate(queries, 1)]
        )
    stage.vacuum()
