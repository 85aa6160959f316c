"""Search over HTTP beside pgbench: the same passages, the same index, the same columns, on the same processors."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks import corpus, load, rivals, truth
from benchmarks.corpus import as_numbers
from benchmarks.load import Run
from benchmarks.results import Bars, Figure, Outcome, at_least, at_most
from benchmarks.rivals import EF_SEARCH, TOP_K
from benchmarks.service import running
from benchmarks.stage import USUAL, USUAL_QUICK, Stage, number_of, say

_CLIENTS = 8
_QUERIES = 1000


def run(stage: Stage, *, quick: bool) -> Outcome:
    load.wrk_program()
    chunks, rounds, seconds, judged = (USUAL_QUICK, 2, 3.0, 100) if quick else (USUAL, 3, 12.0, 200)
    index = stage.index(chunks)
    queries = corpus.queries(_QUERIES)
    rivals.put_queries(stage, queries)
    rival = rivals.nearest(index)
    script = rival.script(len(queries))
    by_text = [{"query": query.text, "mode": "vector", "top_k": TOP_K} for query in queries]
    by_vector = [{"vector": as_numbers(query), "mode": "vector", "top_k": TOP_K} for query in queries]
    bodies = {
        "text": load.write_bodies(stage.folder / "text.jsonl", by_text),
        "vector": load.write_bodies(stage.folder / "vector.jsonl", by_vector),
    }
    path = f"{index.path}/search"
    truths = truth.nearest(np.stack([query.vector for query in queries[:judged]]), chunks, TOP_K)
    with running(stage, queries) as service:
        say("asking every question once")
        answers = [service.client.post(path, body) for body in by_text]
        found = [numbers_of(answer) for answer in answers[:judged]]
        runs: dict[str, list[Run]] = {"text": [], "vector": [], "pgbench": []}
        for number in range(rounds + 1):
            for name, each in runs.items():
                length = seconds if number else 1.0  # the first round warms up
                if name == "pgbench":
                    done = load.pgbench(stage, script, clients=_CLIENTS, seconds=length, options=rival.settings)
                else:
                    done = load.wrk(stage, service, path, bodies[name], connections=_CLIENTS, seconds=length)
                if number:
                    say(f"{name}: {done.rate:.0f}/s, p50 {done.p50_ms:.1f} ms")
                    each.append(done)
    with rival.asked(stage) as ask:
        rival_recall = truth.recall([ask(number) for number in range(1, judged + 1)], truths)
    return _outcome(chunks, runs, truth.recall(found, truths), rival_recall)


def numbers_of(answer: dict[str, Any]) -> list[int]:
    """The passages of an answer, by their place in the corpus."""
    return [number_of(result["document"]["uri"], result["span"]["start"]) for result in answer["results"]]


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
            Figure(
                f"{words}: share of pgbench by processor time",
                rival.total_ms / mine.total_ms,
                "",
                ratio=True,
                note="of everything that took part; moves least with what else runs",
            ),
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
        for name, words in (
            ("pgbench", "pgbench"),
            ("text", "RagIndex, text"),
            ("vector", "RagIndex, vectors"),
        )
        for part, value in (
            ("PostgreSQL", middle[name].database_ms),
            ("service", middle[name].service_ms),
            ("load generator", middle[name].generator_ms),
        )
        if value
    ]
    return Outcome(
        data=f"{chunks:,} passages of 384 dimensions, {_QUERIES:,} queries, ef_search {EF_SEARCH}",
        figures=figures,
        details={name: [asdict(one) for one in each] for name, each in runs.items()},
        charts={
            "search-rate": Bars(
                f"Queries a second, {_CLIENTS} clients",
                "queries/s",
                [
                    ("pgbench", rival.rate),
                    ("RagIndex, text", middle["text"].rate),
                    ("RagIndex, vectors", middle["vector"].rate),
                ],
                line=0.65 * rival.rate,
            ),
            "search-cost": Bars("Processor time of one query", "ms", costs),
        },
    )
