"""RagIndex beside langchain-postgres, llama-index's PostgreSQL store, Chroma and LanceDB: see docs/benchmarks/peers.md.

Each subject is measured in processes of its own, one after the other, and asked with the least effort that reaches
recall@10 of .95 against the exact answer. Stores in PostgreSQL share RagIndex's server and its settings.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks import corpus, load, machine
from benchmarks.machine import ROOT
from benchmarks.memory import held_mib
from benchmarks.peers import chroma_server, environment
from benchmarks.peers.given import SELECTED_KEY, Given, K
from benchmarks.peers.subjects.ragindex import SCRATCH
from benchmarks.results import Bars, Figure, Outcome
from benchmarks.service import Service, running
from benchmarks.stage import Index, Stage, say
from ragindex_db import indexes, schema

#: By the name of their module: what they are called, and whether they live in PostgreSQL.
_SUBJECTS = {
    "ragindex": ("RagIndex, as a library", True),
    "langchain": ("langchain-postgres", True),
    "llamaindex": ("llama-index, PostgreSQL store", True),
    "chroma": ("Chroma", False),
    "lance": ("LanceDB", False),
}


def run(stage: Stage, *, quick: bool) -> Outcome:
    load.wrk_program()
    chunks, count, http_seconds = (5_000, 100, 2.0) if quick else (100_000, 300, 5.0)
    python = environment.python()
    index = stage.index(chunks)
    folder = stage.folder / "peers"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    queries = corpus.queries(count)
    given = Given(folder)
    say("writing down what each is given")
    given.write(corpus.vectors(chunks), np.stack([query.vector for query in queries]), _chunks(chunks))
    found: dict[str, dict[str, Any]] = {}
    with _scratch(stage), _database(stage) as url:
        for name, (title, in_postgres) in _SUBJECTS.items():
            place = stage.url if name == "ragindex" else url if in_postgres else str(folder / name)
            program = Path(sys.executable) if name == "ragindex" else python
            each = {"title": title} | _measured(program, name, folder, place, stage.server_pid if in_postgres else 0)
            each["postgres_mib"] = held_mib(stage.server_pid) if in_postgres else None
            found[name] = each
            say(f"{title}: {each['ask']['eight']['queries_a_second']:.0f} queries/s, 8 clients")
        effort = found["ragindex"]["ask"]["effort"]
        vectors = [corpus.as_numbers(query) for query in queries]
        with _effort(stage, index, effort), running(stage, queries) as service:
            bodies = [{"vector": vector, "mode": "vector", "top_k": K} for vector in vectors]
            path = load.write_bodies(folder / "ragindex.jsonl", bodies)
            found["ragindex-http"] = {"title": "RagIndex, over HTTP"} | _over_http(
                stage, service, f"{index.path}/search", path, effort, http_seconds
            )
        with chroma_server.serving(python, folder / "chroma") as (service, asked_at):
            path = load.write_bodies(folder / "chroma.jsonl", [chroma_server.body(vector) for vector in vectors])
            found["chroma-http"] = {"title": "Chroma, its server"} | _over_http(
                stage, service, asked_at, path, found["chroma"]["ask"]["effort"], http_seconds
            )
    shutil.rmtree(folder)
    return _outcome(chunks, count, found)


def _chunks(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in corpus.documents(count):
        metadata = {"document": document.number, "language": corpus.LANGUAGE}
        for passage in document.passages:
            yield passage.text, metadata | {SELECTED_KEY: document.metadata[SELECTED_KEY]}


def _measured(program: Path, name: str, folder: Path, place: str, server: int) -> dict[str, Any]:
    told = {**os.environ, **environment.QUIET, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    found = {}
    for phase in ("load", "ask"):
        started = time.monotonic()
        command = [str(program), "-m", "benchmarks.peers.subject", name, phase, str(folder), place, str(server)]
        done = subprocess.run(command, env=told, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name} could not {phase}: {done.stderr[-2000:]}")
        found[phase] = json.loads(done.stdout.splitlines()[-1])
        found[phase]["seconds"] = time.monotonic() - started
    return found


@contextmanager
def _scratch(stage: Stage) -> Iterator[None]:
    scratch = stage.empty_index(SCRATCH)
    try:
        yield
    finally:
        stage.drop(scratch)


@contextmanager
def _database(stage: Stage) -> Iterator[str]:
    """One for the others, on the same server."""
    with stage.database.autocommit() as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS peers WITH (FORCE)"))
        connection.execute(sa.text("CREATE DATABASE peers"))
    url = sa.make_url(stage.url).set(database="peers")
    try:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE EXTENSION vector"))
        engine.dispose()
        yield url.set(drivername="postgresql").render_as_string(hide_password=False)
    finally:
        with stage.database.autocommit() as connection:
            connection.execute(sa.text("DROP DATABASE peers WITH (FORCE)"))


@contextmanager
def _effort(stage: Stage, index: Index, effort: int) -> Iterator[None]:
    """``spec.retrieval.efSearch``, as its owner would set it."""

    def put(spec: Mapping[str, Any]) -> None:
        with stage.database.begin() as connection:
            statement = sa.update(schema.indexes).where(schema.indexes.c.id == index.row.id)
            connection.execute(statement.values(spec=dict(spec)))

    with stage.database.begin() as connection:
        before = indexes.get(connection, index.row.id).spec
    put({**before, "retrieval": {**before.get("retrieval", {}), "topK": K, "efSearch": effort}})
    try:
        yield
    finally:
        put(before)


def _over_http(stage: Stage, service: Service, path: str, bodies: Path, effort: int, seconds: float) -> dict[str, Any]:
    load.wrk(stage, service, path, bodies, connections=8, seconds=1.0)
    found: dict[str, Any] = {"effort": effort}
    for name, clients in (("one", 1), ("eight", 8)):
        run = load.wrk(stage, service, path, bodies, connections=clients, seconds=seconds)
        found[name] = {
            "queries_a_second": run.rate,
            "p50_ms": run.p50_ms,
            "p99_ms": run.p99_ms,
            "errors": run.errors,
            "cpu_ms": run.service_ms + run.database_ms,
        }
    found["rss_mib"] = machine.peak_rss_mib(service.pid)
    return {"ask": found}


def _outcome(chunks: int, count: int, found: dict[str, dict[str, Any]]) -> Outcome:
    figures = []
    for each in found.values():
        ask, title = each["ask"], each["title"]
        note = f"p50 {ask['eight']['p50_ms']:.1f}, p99 {ask['eight']['p99_ms']:.1f} ms; effort {ask['effort']}"
        figures += [
            Figure(f"{title}: 8 clients", ask["eight"]["queries_a_second"], "queries/s", note=note),
            Figure(f"{title}: processor time, all processes", ask["eight"]["cpu_ms"], "ms a query"),
        ]
        if "load" not in each:
            continue
        loaded, selected = each["load"], ask["selected"]
        note = f"{selected['rows']:.1f} of {K} rows, p50 {selected['p50_ms']:.1f} ms"
        figures += [
            Figure(f"{title}: recall@{K} behind a filter of 1 %", selected["recall"], "", note=note),
            Figure(f"{title}: load", loaded["rows_a_second"], "rows/s", note=f"index {loaded['build_seconds']:.0f} s"),
            Figure(
                f"{title}: on disk", loaded["bytes"] / 2**20, "MiB", note=f"index {loaded['index_bytes'] / 2**20:.0f}"
            ),
        ]
    rates = [(each["title"], each["ask"]["eight"]["queries_a_second"]) for each in found.values()]
    recalls = [(each["title"], each["ask"]["selected"]["recall"]) for each in found.values() if "load" in each]
    return Outcome(
        data=f"{chunks:,} passages of {corpus.DIMENSIONS} dimensions, {count} queries, recall@{K} of .95",
        figures=figures,
        details={"systems": found, "versions": environment.versions()},
        charts={
            "peers-rate": Bars("Queries a second at recall .95, 8 clients", "queries/s", rates),
            "peers-filter": Bars(f"Recall@{K} behind a filter that leaves 1 %", "", recalls),
        },
    )
