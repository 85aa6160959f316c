"""Hybrid search beside its two arms, one client, through the service."""

from __future__ import annotations

import statistics
from dataclasses import asdict

from benchmarks import corpus, load
from benchmarks.load import Run
from benchmarks.results import Bars, Figure, Outcome, at_most
from benchmarks.service import running
from benchmarks.stage import USUAL, USUAL_QUICK, Stage, say

_TOP_K = 10
_QUERIES = 300
_MODES = ("vector", "keyword", "hybrid")


def run(stage: Stage, *, quick: bool) -> Outcome:
    load.wrk_program()
    chunks, rounds, seconds = (USUAL_QUICK, 2, 2.0) if quick else (USUAL, 4, 4.0)
    index = stage.index(chunks)
    queries = corpus.queries(_QUERIES)
    bodies = {
        mode: load.write_bodies(
            stage.folder / f"{mode}.jsonl", [{"query": each.text, "mode": mode, "top_k": _TOP_K} for each in queries]
        )
        for mode in _MODES
    }
    runs: dict[str, list[Run]] = {mode: [] for mode in _MODES}
    with running(stage, queries) as service:
        say("asking every question once")
        for query in queries:
            service.client.post(f"{index.path}/search", {"query": query.text, "mode": "hybrid", "top_k": _TOP_K})
        for _ in range(rounds):
            for mode in _MODES:
                done = load.wrk(stage, service, f"{index.path}/search", bodies[mode], connections=1, seconds=seconds)
                say(f"{mode}: p50 {done.p50_ms:.1f} ms")
                runs[mode].append(done)
    return _outcome(chunks, runs)


def _outcome(chunks: int, runs: dict[str, list[Run]]) -> Outcome:
    middle = {mode: load.median(each) for mode, each in runs.items()}
    shares = [
        hybrid.p50_ms / max(near.p50_ms, worded.p50_ms)
        for near, worded, hybrid in zip(*(runs[mode] for mode in _MODES), strict=True)
    ]
    costs = [middle[mode].database_ms + middle[mode].service_ms for mode in _MODES]
    figures = [Figure(f"{mode}: p50", middle[mode].p50_ms, "ms") for mode in _MODES]
    figures += [
        Figure("hybrid: p99", middle["hybrid"].p99_ms, "ms"),
        Figure(
            "hybrid: p50 as a multiple of the slower arm's",
            statistics.median(shares),
            "",
            at_most(1.3),
            ratio=True,
            note="each arm asked alone for 10; hybrid reads 100 of each and scores the union",
        ),
        Figure(
            "hybrid: processor time as a multiple of both arms' together",
            costs[2] / (costs[0] + costs[1]),
            "",
            ratio=True,
            note="service and PostgreSQL",
        ),
        Figure("hybrid: answers that failed", middle["hybrid"].errors, "", at_most(0)),
    ]
    return Outcome(
        data=f"{chunks:,} passages, {_QUERIES:,} questions of five words, one client",
        figures=figures,
        details={mode: [asdict(one) for one in each] for mode, each in runs.items()},
        charts={"hybrid": Bars("One client, p50", "ms", [(mode, middle[mode].p50_ms) for mode in _MODES])},
    )
