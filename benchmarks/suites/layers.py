"""Where the service's own processor time of a search goes, from the driver outwards.

Everything runs in this process, one request after the other: each layer is called by itself, and what it costs beyond
the one within it is its own. What the server of HTTP adds shows in the suite ``search``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
import uvloop
from pgvector.psycopg import register_vector_async
from psycopg import AsyncRawCursor

from benchmarks import corpus
from benchmarks.corpus import Query
from benchmarks.results import Bars, Figure, Outcome
from benchmarks.stage import INSTALLATION, USUAL, USUAL_QUICK, Index, Stage
from ragindex_api import logging as json_logging
from ragindex_api import shaping
from ragindex_api.app import create_app
from ragindex_api.encoding import encode
from ragindex_api.services import Services, Wired
from ragindex_api.settings import ApiSettings
from ragindex_api.wire.search import SearchRequest as Asked
from ragindex_core.object.spec import RetrievalMode
from ragindex_core.ports import Embeddings, InputType
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_core.testing.generator import ScriptedGenerator
from ragindex_db.compiled import compiled
from ragindex_db.engine import AsyncDatabase, DatabaseSettings
from ragindex_db.search import SearchRequest, plain_search

_TOP_K = 10
_QUERIES = 100

Call = Callable[[int], Awaitable[object]]


def run(stage: Stage, *, quick: bool) -> Outcome:
    chunks, rounds = (USUAL_QUICK, 10) if quick else (USUAL, 40)
    queries = corpus.queries(_QUERIES)
    with (stage.folder / "layers.log").open("w", encoding="utf-8") as log:
        json_logging.configure("INFO", log)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            costs = runner.run(_measured(stage, stage.index(chunks), queries, rounds))
    own = {name: cost - before for (name, cost), before in zip(costs.items(), [0.0, *costs.values()], strict=False)}
    return Outcome(
        data=f"{chunks:,} passages, vector search for {_TOP_K}, embeddings of the questions cached",
        figures=[
            *(Figure(f"the service's time: {name}", value, "ms a request") for name, value in own.items()),
            Figure("the service's time without the server of HTTP", sum(own.values()), "ms a request"),
        ],
        charts={"layers": Bars("The service's own time of one search", "ms", list(own.items()))},
    )


class _Known(HashEmbedder):
    def __init__(self, queries: Sequence[Query]) -> None:
        super().__init__(corpus.DIMENSIONS)
        self._vectors = {query.text: query.vector for query in queries}

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings:
        done = super().embed(texts, input_type)
        return replace(done, vectors=np.stack([self._vectors[text] for text in texts]))


async def _measured(stage: Stage, index: Index, queries: Sequence[Query], rounds: int) -> dict[str, float]:
    database = AsyncDatabase(DatabaseSettings(url=stage.url, pool_size=4, application_name="benchmarks"))
    services = Services(database, INSTALLATION, lambda _choice: _Known(queries), lambda _choice: ScriptedGenerator())
    url = sa.make_url(stage.url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    try:
        await register_vector_async(connection)
        layers = {
            "driver": _driver(connection, index, queries),
            "statement, pool and records": _statement(database, index, queries),
            **await _service(services, index, queries),
        }
        for call in layers.values():
            for number in range(len(queries)):
                await call(number)
        gc.collect()
        gc.freeze()  # as the service does once it is up
        return await _costs(layers, len(queries), rounds)
    finally:
        await connection.close()
        await database.close()


async def _costs(layers: dict[str, Call], count: int, rounds: int) -> dict[str, float]:
    """Layers by turns; of each the middle of its rounds."""
    found: dict[str, list[float]] = {name: [] for name in layers}
    for _ in range(rounds):
        for name, call in layers.items():
            started = time.process_time()
            for number in range(count):
                await call(number)
            found[name].append((time.process_time() - started) / count * 1000)
    return {name: statistics.median(each) for name, each in found.items()}


def _request(index: Index, query: Query) -> SearchRequest:
    mode = RetrievalMode.VECTOR
    return SearchRequest(index.row.id, index.tables, mode, _TOP_K, vector=query.vector, has_index=True)


def _driver(connection: psycopg.AsyncConnection[Any], index: Index, queries: Sequence[Query]) -> Call:
    searches = [plain_search(_request(index, query)) for query in queries]
    asked = [(compiled(each.statement), each.values) for each in searches if each is not None]
    ready = [(made.text, made.parameters(values)) for made, values in asked]

    async def call(number: int) -> object:
        cursor = AsyncRawCursor(connection)
        text, parameters = ready[number]
        await cursor.execute(text, parameters, prepare=True, binary=True)
        return await cursor.fetchall()

    return call


def _statement(database: AsyncDatabase, index: Index, queries: Sequence[Query]) -> Call:
    requests = [_request(index, query) for query in queries]

    async def call(number: int) -> object:
        plain = plain_search(requests[number])
        assert plain is not None
        return plain.result(await database.fetch(plain.statement, plain.values), 0)

    return call


async def _service(services: Services, index: Index, queries: Sequence[Query]) -> dict[str, Call]:
    settings = ApiSettings()
    wired, app = Wired(services, settings), create_app(services, settings)
    path = f"{index.path}/search"
    bodies = [json.dumps({"query": query.text, "mode": "vector", "top_k": _TOP_K}).encode() for query in queries]
    served = await wired.catalogue.find(index.row.namespace, index.row.name)

    async def retrieval(number: int) -> list[Any]:
        return await wired.retrieval.search(served, [Asked.model_validate_json(bodies[number])], record=False)

    async def encoded(number: int) -> object:
        [found] = await retrieval(number)
        return encode(shaping.search_response(served, found, explain=False))

    async def application(number: int) -> object:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": bodies[number], "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(_scope(path, len(bodies[number])), receive, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == 200, sent
        return sent

    return {
        "retrieval: cached vector, metrics": retrieval,
        "JSON": encoded,
        "application: routing, middleware, body, log": application,
    }


def _scope(path: str, length: int) -> dict[str, Any]:
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"%d" % length)]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "state": {},
    }
