"""Filtered vector search: complete whatever the filter leaves, and how long it takes beside hand-written SQL."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import corpus, rivals, timing, truth
from benchmarks.asking import Asker, asker
from benchmarks.corpus import Query, Selection, as_numbers
from benchmarks.results import Bars, Figure, Outcome, at_least, at_most
from benchmarks.rivals import EF_SEARCH, TOP_K, Rival
from benchmarks.service import Service, running
from benchmarks.stage import USUAL, USUAL_QUICK, Index, Stage, number_of, say
from benchmarks.timing import Times
from ragindex_core.filters import FilterField
from ragindex_core.object.spec import RetrievalMode
from ragindex_db import serving
from ragindex_db.search import SearchRequest

_ALL_SEEN = 10_000  # with so many matching passages or fewer, nothing may be missed
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Found:
    selection: Selection
    matching: int
    recall: float
    rows: int  # the fewest that an answer held
    times: Times
    cpu_ms: float
    http: Times
    rival: Times
    rival_cpu_ms: float
    rival_recall: float
    rival_name: str


def run(stage: Stage, *, quick: bool) -> Outcome:
    chunks, asked = (USUAL_QUICK, 30) if quick else (USUAL, 100)
    index = stage.index(chunks)
    queries = corpus.queries(asked)
    rivals.put_queries(stage, queries)
    with running(stage, queries) as service:
        found = [_measured(stage, index, service, queries, selection) for selection in corpus.SELECTIONS]
    figures = [figure for each in found for figure in _figures(each)]
    rows = [row for each in found for row in _rows(each)]
    return Outcome(
        data=f"{chunks:,} passages, {asked} queries for {TOP_K} rows, one client",
        figures=figures,
        details={
            each.selection.name: {
                "matching": each.matching,
                "ragindex": each.times.as_json(),
                "http": each.http.as_json(),
                "rival": each.rival.as_json() | {"which": each.rival_name, "recall": each.rival_recall},
            }
            for each in found
        },
        charts={"filters": Bars("Filtered search in the database, p50", "ms", rows)},
    )


def _measured(stage: Stage, index: Index, service: Service, queries: Sequence[Query], selection: Selection) -> Found:
    among = selection.of(index.chunks)
    truths = truth.nearest(np.stack([query.vector for query in queries]), index.chunks, TOP_K, among)
    rival, rival_recall = _best_rival(stage, index, selection, truths)
    numbers = range(1, len(queries) + 1)
    answers: dict[int, list[int]] = {}
    ours: list[float] = []
    theirs: list[float] = []
    our_costs: list[float] = []
    their_costs: list[float] = []
    with rival.asked(stage) as ask_rival, asker(stage) as database:
        ask = _asking(database, index, queries, selection)
        for number in numbers:
            answers[number] = ask(number)
        for _ in range(_ROUNDS):
            for asked, times, costs in ((ask, ours, our_costs), (ask_rival, theirs, their_costs)):
                took, cost = timing.costed(stage.server_pid, asked, numbers)
                times.extend(took.all)
                costs.append(cost)
    bodies = [
        {"vector": as_numbers(query), "mode": "vector", "top_k": TOP_K, "filter": selection.wire} for query in queries
    ]
    http = timing.each(lambda body: service.client.post(f"{index.path}/search", body), bodies)
    found = Found(
        selection=selection,
        matching=len(among),
        recall=truth.recall([answers[number] for number in numbers], truths),
        rows=min(len(answer) for answer in answers.values()),
        times=Times(ours),
        cpu_ms=statistics.median(our_costs),
        http=http,
        rival=Times(theirs),
        rival_cpu_ms=statistics.median(their_costs),
        rival_recall=rival_recall,
        rival_name=rival.name,
    )
    say(f"{selection.name}: p50 {found.times.p50:.2f} ms, {rival.name} SQL {found.rival.p50:.2f} ms")
    return found


def _asking(
    database: Asker, index: Index, queries: Sequence[Query], selection: Selection
) -> Callable[[int], list[int]]:
    """RagIndex's own search, from the query's number."""
    expression = FilterField.model_validate(selection.wire).expression()

    def ask(number: int) -> list[int]:
        request = SearchRequest(
            index_id=index.row.id,
            tables=index.tables,
            mode=RetrievalMode.VECTOR,
            top_k=TOP_K,
            vector=queries[number - 1].vector,
            filter=expression,
            ef_search=EF_SEARCH,
            has_index=True,
        )
        [result] = database.ask(serving.search_all, [request])
        return [number_of(hit.chunk.document.uri, hit.chunk.span.start) for hit in result.hits]

    return ask


def _best_rival(stage: Stage, index: Index, selection: Selection, truths: Sequence[set[int]]) -> tuple[Rival, float]:
    """The faster of the hand-written statements among those that find what they should, and what it finds."""
    tried = []
    for rival in rivals.filtered(index, selection):
        with rival.asked(stage) as ask:
            numbers = range(1, min(len(truths), 20) + 1)
            recall = truth.recall([ask(number) for number in numbers], truths[: len(numbers)])
            tried.append(
                (recall < _wanted(len(selection.of(index.chunks))), timing.each(ask, numbers).p50, rival, recall)
            )
    _, _, rival, recall = min(tried, key=lambda each: each[:2])
    return rival, recall


def _wanted(matching: int) -> float:
    return 1.0 if matching <= _ALL_SEEN else 0.97


def _figures(found: Found) -> list[Figure]:
    name = f"{found.selection.name} ({found.matching:,} match)"
    return [
        Figure(f"{name}: recall@{TOP_K}", found.recall, "", at_least(_wanted(found.matching))),
        Figure(f"{name}: fewest rows", found.rows, "", at_least(min(TOP_K, found.matching))),
        Figure(f"{name}: p50", found.times.p50, "ms", note=f"over HTTP {found.http.p50:.1f} ms"),
        Figure(
            f"{name}: p50 as a multiple of hand-written SQL's",
            found.times.p50 / found.rival.p50,
            "",
            at_most(2),
            ratio=True,
            note=f"{found.rival_name}, recall {found.rival_recall:.3f}, p50 {found.rival.p50:.2f} ms",
        ),
        Figure(
            f"{name}: processor time as a multiple of hand-written SQL's",
            found.cpu_ms / max(found.rival_cpu_ms, 0.01),
            "",
            ratio=True,
            note=f"{found.cpu_ms:.2f} ms a query, client and PostgreSQL",
        ),
    ]


def _rows(found: Found) -> list[tuple[str, float]]:
    name = found.selection.name
    return [(f"{name}: RagIndex", found.times.p50), (f"{name}: {found.rival_name} SQL", found.rival.p50)]
