"""Hand-written SQL over the very tables of an index: what RagIndex's own statements are held against.

Fixed texts but for the number of the revision and the number of rows. All return what an answer of the service is made
of, and read the query's vector, as halfvec, from a table by its number ``:n``, so that none is sent or parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa

from benchmarks.corpus import Query, as_numbers
from benchmarks.stage import Index, Stage, number_of

TOP_K = 10
EF_SEARCH = 100  # the default of spec.retrieval
#: A generic plan, so that nothing is planned again; the custom one would be the same.
SESSION = f"-c jit=off -c plan_cache_mode=force_generic_plan -c hnsw.ef_search={EF_SEARCH}"
FILTERED_SESSION = (
    f"{SESSION} -c hnsw.iterative_scan=relaxed_order -c hnsw.max_scan_tuples=200000 -c hnsw.scan_mem_multiplier=4"
)

_SHOWN = """
SELECT near.distance, c.id, c.document_id, d.uri, d.title, c.version, c.text, c.span_start, c.span_end, c.page,
       c.page_end, c.sheet, c.cells, c.start_ms, c.end_ms, c.speaker, c.headings,
       coalesce(c.language, d.language) AS language, d.metadata
FROM ({near}) near
JOIN ragindex_data.chunk_{revision} c ON c.id = near.chunk_id
JOIN ragindex.documents d ON d.id = c.document_id
ORDER BY near.distance
"""
_DISTANCE = "embedding <=> (SELECT embedding FROM ragindex_data.benchmark_query WHERE id = :n)"
_NEAREST = """
    SELECT chunk_id, {distance} AS distance
    FROM ragindex_data.vector_{revision} WHERE sealed ORDER BY distance LIMIT {limit}
"""
# Few match: the documents first, through the index of the metadata, then every one of their vectors.
_EXACT = """
    WITH visible AS MATERIALIZED (
        SELECT document_id FROM ragindex.document_metadata WHERE index_id = {index} AND {matches}
    )
    SELECT v.chunk_id, v.{distance} AS distance
    FROM visible JOIN ragindex_data.vector_{revision} v USING (document_id) ORDER BY distance LIMIT {limit}
"""
# Many match: near ones first, through the vector index, which goes on until enough have matched.
_ITERATIVE = """
    SELECT chunk_id, distance FROM (
        SELECT v.chunk_id, v.{distance} AS distance
        FROM ragindex_data.vector_{revision} v
        WHERE v.sealed AND (
            SELECT true FROM ragindex.document_metadata m WHERE m.document_id = v.document_id AND {matches} LIMIT 1
        )
        ORDER BY distance LIMIT {limit}
    ) relaxed ORDER BY distance + 0
"""
#: Of document_metadata, by the key that a selection of the corpus filters on; :value is the other number of a script.
_MATCHES = {
    "few": "key = 'few' AND position = 0 AND NOT is_list AND boolean_value",
    "quarter": "key = 'quarter' AND position = 0 AND NOT is_list AND number_value = 1",
    "tenth": "key = 'tenth' AND position = 0 AND NOT is_list AND number_value = 3",
    "hundredth": "key = 'hundredth' AND position = 0 AND NOT is_list AND number_value = 7",
    "thousandth": "key = 'thousandth' AND position = 0 AND NOT is_list AND number_value = 9",
}


def nearest(index: Index) -> str:
    return _shown(_NEAREST, index)


def exact(index: Index, key: str) -> str:
    return _shown(_EXACT, index, key)


def iterative(index: Index, key: str) -> str:
    return _shown(_ITERATIVE, index, key)


def _shown(near: str, index: Index, key: str = "few") -> str:
    revision, limit = index.tables.revision_id, TOP_K
    inner = near.format(
        distance=_DISTANCE, revision=revision, limit=limit, index=index.row.id, matches=_MATCHES[key]
    ).strip()
    return _SHOWN.format(near=inner, revision=revision)


def put_queries(stage: Stage, queries: Sequence[Query]) -> None:
    """Where the statements find their vectors: numbered from 1."""
    statements = (
        "DROP TABLE IF EXISTS ragindex_data.benchmark_query",
        "CREATE TABLE ragindex_data.benchmark_query (id int PRIMARY KEY, embedding halfvec(384) NOT NULL)",
        "ALTER TABLE ragindex_data.benchmark_query ALTER embedding SET STORAGE PLAIN",
    )
    with stage.database.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
        connection.execute(
            sa.text("INSERT INTO ragindex_data.benchmark_query VALUES (:id, CAST(:vector AS halfvec))"),
            [{"id": n, "vector": str(as_numbers(query))} for n, query in enumerate(queries, 1)],
        )
    stage.vacuum()


def script(statement: str, queries: int) -> str:
    """For pgbench: a query drawn by chance each time."""
    return f"\\set n random(1, {queries})\n{statement}"


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks a rival from Python: a prepared statement, rows in binary."""

    connection: psycopg.Connection[tuple[object, ...]]
    statement: bytes

    def ask(self, number: int) -> list[int]:
        """The passages it finds for query ``number``, by their place in the corpus."""
        with self.connection.cursor(binary=True) as cursor:
            rows = cursor.execute(self.statement, (number,), prepare=True).fetchall()
        return [number_of(str(row[3]), int(str(row[7]))) for row in rows]


def asker(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> Asker:
    return Asker(connection, statement.replace(":n", "%s").encode())


def connect(stage: Stage, session: str) -> psycopg.Connection[tuple[object, ...]]:
    url = sa.make_url(stage.url).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), options=session, autocommit=True)
