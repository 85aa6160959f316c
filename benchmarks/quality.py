"""How good search is at questions whose answers are known, measured through the service's own door.

    RAGINDEX_DATA=/path/to/data python benchmarks/quality.py [--only scifact] [--keep DIR]

Each corpus becomes a folder of files and a RagIndex object with defaults, followed by a `ragindex up` of its own; once
it is up to date, its questions are asked over REST. Prints a table beside what should be reached, and writes
benchmarks/results/quality.json. Corpora are not part of RagIndex: each is a folder with corpus.jsonl, queries.jsonl and
qrels.tsv, and spans.jsonl where passages are judged.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragindex_core.errors import RagIndexError
from ragindex_local.cli.output import table
from ragindex_local.cli.waiting import until_up_to_date
from ragindex_local.client import Client, IndexName
from ragindex_local.evaluation import Report, document_name, evaluate, read_task

RESULTS = Path(__file__).parent / "results" / "quality.json"
_START_SECONDS = 120.0
_FILL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Corpus:
    """``plain``: the text as it is, so that offsets into it hold; else Markdown with the title as its heading."""

    name: str
    folder: str
    goals: tuple[tuple[str, str, int, float], ...]  # mode, measure, depth, at least
    plain: bool = False


CORPORA = (
    Corpus("scifact", "scifact", (("keyword", "ndcg", 10, 0.68), ("hybrid", "ndcg", 10, 0.70))),
    Corpus("xquad-en", "xquad/en", (("hybrid", "recall", 10, 0.95),)),
    Corpus("xquad-de", "xquad/de", (("hybrid", "recall", 10, 0.95),)),
    Corpus("xquad-zh", "xquad/zh", (("keyword", "recall", 10, 0.90),)),
    Corpus("chunkeval", "chunkeval", (("hybrid", "character_recall", 8, 0.85),), plain=True),
)
MODES = ("keyword", "vector", "hybrid")


def write_documents(corpus: Path, folder: Path, *, plain: bool) -> int:
    """One file a document, named by its id."""
    folder.mkdir(parents=True)
    count = 0
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            text = document["text"] if plain else f"# {document['title']}\n\n{document['text']}\n"
            (folder / f"{document['id']}{'.txt' if plain else '.md'}").write_text(text, encoding="utf-8", newline="")
            count += 1
    return count


def index_object(name: str, folder: Path) -> dict[str, Any]:
    """Defaults, apart from what has none."""
    return {
        "apiVersion": "ragindex.io/v1alpha1",
        "kind": "RagIndex",
        "metadata": {"name": name},
        "spec": {
            "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
            "sources": [{"name": "files", "directory": {"path": folder.name}}],
        },
    }


@contextmanager
def service(objects: Path, data: Path) -> Iterator[Client]:
    """A `ragindex up` that follows the folder of objects, on a free port."""
    command = [sys.executable, "-m", "ragindex_local", "up", "-f", str(objects), "--data", str(data), "--port", "0"]
    log = data.with_suffix(".log")
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield Client(_address(child, data / "run.json", log))
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(60)


def _address(child: subprocess.Popen[bytes], run_file: Path, log: Path) -> str:
    until = time.monotonic() + _START_SECONDS
    while child.poll() is None and time.monotonic() < until:
        try:
            url = str(json.loads(run_file.read_text(encoding="utf-8"))["url"])
            Client(url, timeout_seconds=5).get("/readyz")
        except (OSError, ValueError, RagIndexError):
            time.sleep(0.2)
        else:
            return url
    raise SystemExit(f"ragindex up did not start:\n{log.read_text(encoding='utf-8', errors='replace')}")


def check_offsets(client: Client, index: IndexName, corpus: Path) -> None:
    """Judged passages are offsets into the corpus: they say nothing unless the indexed text is the same."""
    texts = {record["id"]: record["text"] for record in map(json.loads, corpus.open(encoding="utf-8"))}
    for document in client.get(f"{index.path}/documents", limit=1000)["documents"]:
        name = document_name(document["uri"])
        if client.text(f"{index.path}/documents/{document['id']}/content") != texts[name]:
            print(f"warning: the text of {name} was changed on the way in; its offsets are not the corpus'")


def measure(client: Client, corpus: Corpus, data: Path) -> list[Report]:
    index = IndexName("default", corpus.name)
    folder = data / corpus.folder
    spans = folder / "spans.jsonl"
    task = read_task(folder / "queries.jsonl", folder / "qrels.tsv", spans if spans.exists() else None)
    if corpus.plain:
        check_offsets(client, index, folder / "corpus.jsonl")
        task = replace(task, grades={})  # a handful of long documents: which of them is no question
    return [evaluate(client, index.path, task, mode, recall_at=(8, 10)) for mode in MODES]


def value_of(report: Report, measured: str, depth: int) -> float:
    values: dict[int, float] = getattr(report, measured)
    return values[depth]


def run(corpus: Corpus, data: Path, work: Path) -> dict[str, Any]:
    """One corpus from files to figures."""
    home = work / corpus.name
    documents = write_documents(data / corpus.folder / "corpus.jsonl", home / "documents", plain=corpus.plain)
    (home / "index.yaml").write_text(json.dumps(index_object(corpus.name, home / "documents"), indent=2))
    print(f"{corpus.name}: {documents} documents", flush=True)
    with service(home / "index.yaml", home / "data") as client:
        began = time.monotonic()
        item = until_up_to_date(client, IndexName("default", corpus.name), timeout_seconds=_FILL_SECONDS)
        seconds = time.monotonic() - began
        reports = measure(client, corpus, data)
    active = item["status"]["activeRevision"]
    return {
        "corpus": corpus.name,
        "documents": item["status"]["documents"],
        "chunks": active["chunks"],
        "fill_seconds": round(seconds, 1),
        "goals": [
            {
                "mode": mode,
                "measure": measured,
                "at": depth,
                "at_least": least,
                "reached": value_of(report, measured, depth),
            }
            for mode, measured, depth, least in corpus.goals
            for report in reports
            if report.mode == mode
        ],
        "reports": [report.to_wire() for report in reports],
    }


def show(results: list[dict[str, Any]]) -> None:
    heads = ("CORPUS", "MODE", "CHUNKS", "nDCG@10", "RECALL@10", "CHARS@8", "p50 ms", "p95 ms")
    rows = []
    for result in results:
        for report in result["reports"]:
            measures = (report["ndcg"].get(10), report["recall"].get(10), report["character_recall"].get(8))
            shown = [f"{value:.4f}" if value is not None else "" for value in measures]
            times = (f"{report['p50_ms']:.1f}", f"{report['p95_ms']:.1f}")
            rows.append((result["corpus"], report["mode"], str(result["chunks"]), *shown, *times))
    print("\n" + table(heads, rows) + "\n")
    for result in results:
        for goal in result["goals"]:
            kept = "reached" if goal["reached"] >= goal["at_least"] else "MISSED"
            what = f"{result['corpus']} {goal['mode']} {goal['measure']}@{goal['at']}"
            print(f"{kept}: {what} {goal['reached']:.4f}, at least {goal['at_least']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[corpus.name for corpus in CORPORA])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR and leave it there")
    arguments = parser.parse_args()
    data = Path(os.environ.get("RAGINDEX_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not data.is_dir():
        raise SystemExit(f"skipped: {data} is not there; set RAGINDEX_DATA to the folder of the corpora")
    results = []
    with tempfile.TemporaryDirectory(prefix="ragindex-quality-") as scratch:
        work = (arguments.keep or Path(scratch)).absolute()
        for corpus in CORPORA:
            if arguments.only and corpus.name not in arguments.only:
                continue
            results.append(run(corpus, data, work))
            _write(results)
    show(results)


def _write(results: list[dict[str, Any]]) -> None:
    """Results of corpora that were not measured this time stay."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    measured = {result["corpus"] for result in results}
    kept = [result for result in before if result["corpus"] not in measured]
    everything = sorted([*kept, *results], key=lambda result: str(result["corpus"]))
    RESULTS.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
