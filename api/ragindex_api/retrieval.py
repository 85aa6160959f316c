"""A search from request to result: which revision, which arms, and what to do when the embedder is away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter

import numpy as np

from ragindex_api.catalogue import Catalogue, ServingIndex, ServingRevision
from ragindex_api.embedding import QueryEmbedder, Vector
from ragindex_api.metrics import Metrics
from ragindex_api.recorder import Recorder
from ragindex_api.wire.search import SearchRequest
from ragindex_core.analysis import query_terms
from ragindex_core.errors import FieldProblem, InvalidInput, ProviderRefused, Unavailable
from ragindex_core.object.spec import RetrievalMode
from ragindex_db import serving
from ragindex_db.engine import AsyncDatabase
from ragindex_db.ledger import QueryRun, Usage
from ragindex_db.search import SearchRequest as RevisionSearch
from ragindex_db.search import SearchResult, plain_search, search_further

_MODES = {"vector": RetrievalMode.VECTOR, "keyword": RetrievalMode.KEYWORD, "hybrid": RetrievalMode.HYBRID}


@dataclass(slots=True)
class Found:
    """One search as it was answered: everything in it is of ``revision``."""

    revision: ServingRevision
    mode: RetrievalMode
    result: SearchResult
    run_id: str
    embedding_tokens: int
    degraded: str | None
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Embedded:
    """Vectors of the queries that need one; ``missing`` says why there are none."""

    vectors: dict[str, Vector]
    tokens: int = 0
    missing: str | None = None


class Retrieval:
    def __init__(
        self,
        database: AsyncDatabase,
        catalogue: Catalogue,
        embedder: QueryEmbedder,
        recorder: Recorder,
        metrics: Metrics,
        *,
        embedding_seconds: float,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._embedder = embedder
        self._recorder = recorder
        self._metrics = metrics
        self._embedding_seconds = embedding_seconds
        self._terms = lru_cache(maxsize=4096)(query_terms)

    async def search(
        self, index: ServingIndex, queries: Sequence[SearchRequest], *, record: bool = True
    ) -> list[Found]:
        """All queries are answered from one revision, in one state of it."""
        started = perf_counter()
        revision = index.answering()
        modes = [_mode(index, query) for query in queries]
        _check(queries, modes)
        embedded = await self._embed(revision, queries, modes)
        embedding_seconds = perf_counter() - started
        languages = await self._catalogue.languages(index)
        requests = [
            self._request(index, revision, query, mode, embedded, languages)
            for query, mode in zip(queries, modes, strict=True)
        ]
        results = await self._results(requests)
        seconds = perf_counter() - started
        found: list[Found] = []
        for query, mode, result in zip(queries, modes, results, strict=True):
            lame = embedded.missing if _wants_embedding(query, mode) else None
            tokens = 0 if found else embedded.tokens  # they were embedded together: the first one stands for all
            each = Found(revision, mode, result, str(uuid.uuid4()), tokens, lame)
            self._time(each, embedding_seconds, seconds)
            if lame:
                self._metrics.degraded.inc()
            if record:
                self._record(index, each)
            found.append(each)
        return found

    async def _results(self, requests: Sequence[RevisionSearch]) -> list[SearchResult]:
        plain = plain_search(requests[0]) if len(requests) == 1 else None
        if plain is None:
            return await self._database.query(serving.search_all, requests)
        started = perf_counter()
        rows = await self._database.fetch(plain.statement, plain.values)
        result = plain.result(rows, (perf_counter() - started) * 1000)
        return [result if result is not None else await self._database.query(search_further, plain.further)]

    async def _embed(
        self, revision: ServingRevision, queries: Sequence[SearchRequest], modes: Sequence[RetrievalMode]
    ) -> _Embedded:
        wanting = [(q.query, m) for q, m in zip(queries, modes, strict=True) if q.query and _wants_embedding(q, m)]
        if not wanting:
            return _Embedded({})
        texts = [text for text, _ in wanting]
        if (known := self._embedder.remembered(revision.embedding, texts)) is not None:
            return _Embedded(known)
        try:
            async with asyncio.timeout(self._embedding_seconds):
                done = await self._embedder.embed(revision.embedding, texts)
        except TimeoutError:
            problem: Unavailable | ProviderRefused = Unavailable("the embedding model takes too long to answer")
        except (Unavailable, ProviderRefused) as error:
            problem = error
        else:
            return _Embedded(done.vectors, done.tokens)
        if any(mode is RetrievalMode.VECTOR for _, mode in wanting):
            raise problem
        return _Embedded({}, missing=f"by keyword alone: the vector arm could not run ({problem})")

    def _request(
        self,
        index: ServingIndex,
        revision: ServingRevision,
        query: SearchRequest,
        mode: RetrievalMode,
        embedded: _Embedded,
        languages: tuple[str | None, ...],
    ) -> RevisionSearch:
        defaults = index.spec.retrieval
        vector = embedded.vectors.get(query.query or "") if query.vector is None else np.asarray(query.vector)
        language = query.language.partition("-")[0] if query.language else None
        worded = query.query is not None and mode is not RetrievalMode.VECTOR
        top_k = query.top_k or defaults.top_k
        return RevisionSearch(
            index_id=index.row.id,
            tables=revision.row.tables,
            mode=mode,
            top_k=top_k,
            vector=vector,
            keyword=self._terms(query.query, languages, language) if worded else None,
            filter=query.filter.expression() if query.filter is not None else None,
            fusion=defaults.fusion,
            vector_weight=defaults.vector_weight,
            distance=revision.distance,
            has_index=revision.has_index,
            ef_search=max(defaults.ef_search, top_k),
            hierarchical=revision.hierarchical,
            group_by_document=query.group_by == "document",
            neighbours=query.neighbours,
        )

    def _time(self, found: Found, embedding_seconds: float, seconds: float) -> None:
        """Stages as the database timed them, the embedding, and all of it together."""
        self._metrics.staged("embed", embedding_seconds, found.timings)
        for stage, milliseconds in found.result.timings_ms.items():
            name = "search" if stage == "total" else stage
            self._metrics.staged(name, milliseconds / 1000, found.timings)
        self._metrics.staged("total", seconds, found.timings)

    def _record(self, index: ServingIndex, found: Found) -> None:
        document_ids = sorted({hit.chunk.document_id for hit in found.result.hits})
        self._recorder.record(
            QueryRun(
                id=found.run_id,
                index_id=index.row.id,
                revision_id=found.revision.id,
                kind="Search",
                outcome="Degraded" if found.degraded else None,
                milliseconds=found.timings["total"],
                document_ids=document_ids,
            )
        )
        self.record_embedding(index, found)

    def record_embedding(self, index: ServingIndex, found: Found) -> None:
        if tokens := found.embedding_tokens:
            self._metrics.tokens.labels("embedding", "input").inc(tokens)
            embedding = found.revision.embedding
            route = f"{embedding.provider}/{embedding.model}"
            self._recorder.record(Usage(index.row.id, index.row.namespace, "Query", route, input_tokens=tokens))


def _mode(index: ServingIndex, query: SearchRequest) -> RetrievalMode:
    return _MODES[query.mode] if query.mode is not None else index.spec.retrieval.mode


def _wants_embedding(query: SearchRequest, mode: RetrievalMode) -> bool:
    return mode is not RetrievalMode.KEYWORD and query.vector is None


def _check(queries: Sequence[SearchRequest], modes: Sequence[RetrievalMode]) -> None:
    problems = []
    for position, (query, mode) in enumerate(zip(queries, modes, strict=True)):
        place = f"searches[{position}]." if len(queries) > 1 else ""
        if mode is RetrievalMode.KEYWORD and query.query is None:
            problems.append(FieldProblem(f"{place}query", "is needed for a search by keyword"))
        if query.rerank:
            problems.append(FieldProblem(f"{place}rerank", "reranking is not available in this installation"))
    if problems:
        raise InvalidInput(problems)
