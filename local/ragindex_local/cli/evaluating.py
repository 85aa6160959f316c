"""``ragindex evaluate``: how good an index is at questions whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragindex_core.errors import InvalidInput
from ragindex_local.cli import address
from ragindex_local.cli.command import command, index_argument, service_options
from ragindex_local.cli.output import as_json, note, progress, say, table
from ragindex_local.client import IndexName

if TYPE_CHECKING:
    from ragindex_local.evaluation import Report

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KINDS = ("ndcg", "recall", "chars")
_MOST = 100


@command("evaluate")
@index_argument()
@click.option("--queries", type=_FILE, required=True, help='Questions: lines of {"id": …, "text": …}.')
@click.option("--qrels", type=_FILE, required=True, help="Judgements: query, document and grade, between tabs.")
@click.option("--spans", type=_FILE, help='Passages: lines of {"query": …, "doc": …, "start": …, "end": …}.')
@click.option(
    "--mode",
    "modes",
    type=click.Choice(["keyword", "vector", "hybrid"]),
    multiple=True,
    default=("keyword", "vector", "hybrid"),
    show_default=True,
    help="May be given more than once.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME@K",
    default=("ndcg@10", "recall@10", "chars@8"),
    show_default=True,
    help="ndcg@K and recall@K of documents, chars@K: the share of --spans in the first K passages.",
)
@service_options
def evaluate(
    index: IndexName,
    queries: Path,
    qrels: Path,
    spans: Path | None,
    modes: tuple[str, ...],
    metrics: tuple[str, ...],
    url: str | None,
    data: Path | None,
    json_: bool,
) -> None:
    """Measure how well an index finds what it should.

    A document is known to the judgements by its file's name without the suffix.
    """
    from ragindex_local import evaluation

    task = evaluation.read_task(queries, qrels, spans)
    at = _depths(metrics)
    client = address.find(url, data).client()
    reports = []
    for mode in modes:
        asked = len(task.questions) * (bool(task.grades) + bool(task.spans))
        with progress(mode, asked, " questions") as bar:
            reports.append(
                evaluation.evaluate(
                    client,
                    index.path,
                    task,
                    mode,
                    ndcg_at=at["ndcg"],
                    recall_at=at["recall"],
                    characters_at=at["chars"],
                    advance=bar.advance,
                )
            )
    if json_:
        as_json({"index": str(index), "reports": [report.to_wire() for report in reports]})
    else:
        _show(reports)


def _depths(metrics: tuple[str, ...]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {kind: [] for kind in _KINDS}
    for metric in metrics:
        kind, _, depth = metric.partition("@")
        if kind not in found or not depth.isdigit() or not 1 <= int(depth) <= _MOST:
            raise InvalidInput.field("--metric", f"must be ndcg@K, recall@K or chars@K with K up to 100, not {metric}")
        found[kind].append(int(depth))
    if not found["ndcg"] and not found["recall"]:
        found["recall"] = [10]
    found["chars"] = found["chars"] or [8]
    return found


def _show(reports: list[Report]) -> None:
    first = reports[0]
    heads = ["MODE", "QUESTIONS"]
    heads += [f"nDCG@{k}" for k in first.ndcg] + [f"recall@{k}" for k in first.recall]
    heads += [f"chars@{k}" for k in first.character_recall] + ["p50 ms", "p95 ms"]
    rows = []
    for report in reports:
        measures = [*report.ndcg.values(), *report.recall.values(), *report.character_recall.values()]
        times = [f"{report.p50_ms:.1f}", f"{report.p95_ms:.1f}"]
        rows.append([report.mode, str(report.questions), *(f"{value:.4f}" for value in measures), *times])
    say(table(heads, rows))
    for report in reports:
        if report.degraded:
            note(f"{report.mode}: {report.degraded} searches were answered without their vector arm")
