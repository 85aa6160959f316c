"""Search over HTTP beside pgbench: the same passages, the same index, the same columns, on the same processors."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa

from benchmarks import corpus, load, truth
from benchmarks.corpus import Query
from benchmarks.load import Run
from benchmarks.results import Bars, Figure, Outcome, at_least, at_most
from benchmarks.service import running
from benchmarks.stage import Stage, number_of, say

_TOP_K = 10
_EF_SEARCH = 100  # the default of spec.retrieval
_CLIENTS = 8
_QUERIES = 2000

# The rival. One prepared statement with a generic plan, so that nothing is planned again; the query's vector is read
# from a table by its number, as halfvec, so that none is sent or parsed; the vector index first, then ten rows of text
# and document by their keys. What it returns is what the service's answer is made of.
_RIVAL = """
\\set n random(1, {queries})
SELECT near.distance, c.id, c.document_id, d.uri, d.title, c.version, c.text, c.span_start, c.span_end, c.page,
       c.page_end, c.sheet, c.cells, c.start_ms, c.end_ms, c.speaker, c.headings,
       coalesce(c.language, d.language) AS language, d.metadata
FROM (SELECT chunk_id, embedding <=> (SELECT embedding FROM ragindex_data.benchmark_query WHERE id = :n) AS distance
      FROM ragindex_data.vector_{revision} WHERE sealed ORDER BY distance LIMIT {limit}) near
JOIN ragindex_data.chunk_{revision} c ON c.id = near.chunk_id
JOIN ragindex.documents d ON d.id = c.document_id
ORDER BY near.distance
"""
_SESSION = f"-c plan_cache_mode=force_generic_plan -c hnsw.ef_search={_EF_SEARCH}"


def run(stage: Stage, *, quick: bool) -> Outcome:
    load.wrk_program()
    chunks, rounds, seconds, judged = (20_000, 2, 4.0, 100) if quick else (100_000, 3, 12.0, 200)
    index = stage.index(chunks)
    queries = corpus.queries(_QUERIES)
    put_queries(stage, queries)
    rival = _RIVAL.format(queries=len(queries), revision=index.tables.revision_id, limit=_TOP_K)
    by_text = [{"query": query.text, "mode": "vector", "top_k": _TOP_K} for query in queries]
    by_vector = [{"vector": as_numbers(query), "mode": "vector", "top_k": _TOP_K} for query in queries]
    bodies = {
        "text": load.write_bodies(stage.folder / "text.jsonl", by_text),
        "vector": load.write_bodies(stage.folder / "vector.jsonl", by_vector),
    }
    path = f"{index.path}/search"
    truths = truth.nearest(np.stack([query.vector for query in queries[:judged]]), chunks, _TOP_K)
    with running(stage, queries) as service:
        say("asking every question once")
        answers = [service.client.post(path, body) for body in by_text]
        found = [numbers_of(answer) for answer in answers[:judged]]
        runs: dict[str, list[Run]] = {"text": [], "vector": [], "pgbench": []}
        for number in range(rounds + 1):
            for name, each in runs.items():
                length = seconds if number else 1.0  # the first round warms up
                if name == "pgbench":
                    done = load.pgbench(stage, rival, clients=_CLIENTS, seconds=length, options=_SESSION)
                else:
                    done = load.wrk(stage, service, path, bodies[name], connections=_CLIENTS, seconds=length)
                if number:
                    say(f"{name}: {done.rate:.0f}/s, p50 {done.p50_ms:.1f} ms")
                    each.append(done)
    rival_recall = truth.recall(_rival_answers(stage, rival, judged), truths)
    return _outcome(chunks, runs, truth.recall(found, truths), rival_recall)


def put_queries(stage: Stage, queries: Sequence[Query]) -> None:
    """Where the hand-written statements find their vectors."""
    with stage.database.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS ragindex_data.benchmark_query"))
        connection.execute(
            sa.text("CREATE TABLE ragindex_data.benchmark_query (id int PRIMARY KEY, embedding halfvec(384) NOT NULL)")
        )
        connection.execute(sa.text("ALTER TABLE ragindex_data.benchmark_query ALTER embedding SET STORAGE PLAIN"))
        connection.execute(
            sa.text("INSERT INTO ragindex_data.benchmark_query VALUES (:id, CAST(:vector AS halfvec))"),
            [{"id": n, "vector": str(as_numbers(query))} for n, query in enumerate(queries, 1)],
        )
    stage.vacuum()


def as_numbers(query: Query) -> list[float]:
    """As a client writes them: the digits of single precision and no more."""
    return [float(str(value)) for value in query.vector]


def numbers_of(answer: dict[str, Any]) -> list[int]:
    """The passages of an answer, by their place in the corpus."""
    return [number_of(result["document"]["uri"], result["span"]["start"]) for result in answer["results"]]


def _rival_answers(stage: Stage, rival: str, count: int) -> list[list[int]]:
    statement = rival.strip().partition("\n")[2].replace(":n", "%s").encode()
    url = sa.make_url(stage.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), options=_SESSION) as connection:
        found = []
        for number in range(1, count + 1):
            rows = connection.execute(statement, (number,)).fetchall()
            found.append([number_of(row[3], row[7]) for row in rows])
    return found


def _outcome(chunks: int, runs: dict[str, list[Run]], found: float, rival_found: float) -> Outcome:
    middle = {name: load.median(each) for name, each in runs.items()}
    rival = middle["pgbench"]
    figures = [
        Figure("pgbench, the best hand-written SQL", rival.rate, "queries/s", note=f"recall@10 {rival_found:.3f}"),
    ]
    for name, words in (("text", "text, embedding cached"), ("vector", "vectors given")):
        mine = middle[name]
        shares = [one.rate / other.rate for one, other in zip(runs[name], runs["pgbench"], strict=True)]
        figures += [
            Figure(f"{words}: rate", mine.rate, "queries/s"),
            Figure(f"{words}: share of pgbench", statistics.median(shares), "", at_least(0.65), ratio=True),
            Figure(f"{words}: processor time of the service", mine.service_ms, "ms a request", at_most(0.55)),
            Figure(f"{words}: processor time of PostgreSQL", mine.database_ms, "ms a request"),
            Figure(f"{words}: processor time of wrk", mine.generator_ms, "ms a request"),
            Figure(f"{words}: p50 with {_CLIENTS} clients", mine.p50_ms, "ms"),
            Figure(f"{words}: p99 with {_CLIENTS} clients", mine.p99_ms, "ms"),
            Figure(f"{words}: answers that failed", mine.errors, "", at_most(0)),
        ]
    figures += [
        Figure("pgbench: processor time of PostgreSQL", rival.database_ms, "ms a query"),
        Figure("pgbench: processor time of pgbench", rival.generator_ms, "ms a query"),
        Figure("recall@10 against exact", found, "", at_least(0.95)),
    ]
    costs = [
        (f"{words}: {part}", value)
        for name, words in (("pgbench", "pgbench"), ("text", "text"), ("vector", "vectors"))
        for part, value in (
            ("PostgreSQL", middle[name].database_ms),
            ("service", middle[name].service_ms),
            ("load generator", middle[name].generator_ms),
        )
        if value
    ]
    return Outcome(
        data=f"{chunks:,} passages of 384 dimensions, {_QUERIES:,} queries, ef_search {_EF_SEARCH}",
        figures=figures,
        details={name: [asdict(one) for one in each] for name, each in runs.items()},
        charts={
            "search-rate": Bars(
                f"Queries a second, {_CLIENTS} clients",
                "queries/s",
                [(name, middle[name].rate) for name in ("pgbench", "text", "vector")],
                line=0.65 * rival.rate,
            ),
            "search-cost": Bars("Processor time of one query", "ms", costs),
        },
    )
