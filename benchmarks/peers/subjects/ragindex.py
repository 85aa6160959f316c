"""RagIndex without its service, as a library over the index that the driver filled: the statements the service runs,
sent as it sends them, from an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import sqlalchemy as sa

from benchmarks import corpus
from benchmarks.corpus import Document, Passage
from benchmarks.peers.given import SELECTED_KEY, SELECTED_VALUE, Given
from benchmarks.stage import INSTALLATION, NAMESPACE, Index, add_documents, number_of, pieces, write
from ragindex_core.analysis import analyse_chunk
from ragindex_core.filters import parse_filter
from ragindex_core.object.spec import RetrievalMode
from ragindex_db import indexes, keyword, revisions
from ragindex_db.engine import AsyncDatabase, Database, DatabaseSettings
from ragindex_db.search import (
    SearchRequest,
    SearchResult,
    build_vector_index,
    drop_vector_index,
    plain_search,
    search_further,
)
from ragindex_db.search.vector_index import index_names

#: The empty index that the sample is written to; the whole one is ``passages-N``.
SCRATCH = "peers-scratch"
_FILTER = parse_filter({"equals": {"key": SELECTED_KEY, "value": SELECTED_VALUE}})
_DOCUMENTS_AT_ONCE = 50


class RagIndex:
    """What is written is more than others write: the words are counted for BM25 and sealed into postings."""

    sample = 5_000

    def __init__(self, url: str, chunks: int) -> None:
        settings = DatabaseSettings(url=url, pool_size=8)
        self._database = Database(settings)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._queries = AsyncDatabase(settings)
        self._index = self._found(f"passages-{chunks}", chunks)
        self._effort = 0

    def _found(self, name: str, chunks: int) -> Index:
        with self._database.begin() as connection:
            row = indexes.find(connection, INSTALLATION, NAMESPACE, name)
            assert row.serving_revision_id is not None
            return Index(row, revisions.get(connection, row.serving_revision_id).tables, chunks)

    def load(self, given: Given, start: int, stop: int) -> None:
        scratch = self._found(SCRATCH, 0)
        documents = (_document(part) for part in pieces(given.rows(start, stop), corpus.CHUNKS_A_DOCUMENT))
        for part in pieces(documents, _DOCUMENTS_AT_ONCE):
            with self._database.begin() as connection:
                ids = add_documents(connection, scratch, part)
                write(connection, scratch, list(zip(part, ids, strict=True)))
        while not self._database.run(keyword.seal, scratch.tables.keyword).idle:
            pass

    def load_rest(self, given: Given, start: int, stop: int) -> None:
        """The whole index is there already."""

    def build(self) -> None:
        drop_vector_index(self._database, self._index.tables)
        build_vector_index(self._database, self._index.tables, m=16, ef_construction=128)

    def disk_bytes(self) -> tuple[int, int]:
        tables = self._index.tables
        names = [f"{tables.vector.schema}.{name}" for name in index_names(tables)]
        sizes = [sa.func.coalesce(sa.func.pg_relation_size(sa.func.to_regclass(name)), 0) for name in names]
        with self._database.begin() as connection:
            index = connection.execute(sa.select(sum(sizes[1:], sizes[0]))).scalar_one()
            return revisions.size_bytes(connection, [tables]), index

    def ask_with(self, effort: int) -> None:
        self._effort = effort

    def search(self, vector: Any, k: int, *, selected: bool) -> list[int]:
        request = SearchRequest(
            index_id=self._index.row.id,
            tables=self._index.tables,
            mode=RetrievalMode.VECTOR,
            top_k=k,
            vector=vector,
            filter=_FILTER if selected else None,
            ef_search=self._effort,
            has_index=True,
        )
        found = asyncio.run_coroutine_threadsafe(self._found_by(request), self._loop).result()
        return [number_of(hit.chunk.document.uri, hit.chunk.span.start) for hit in found.hits]

    async def _found_by(self, request: SearchRequest) -> SearchResult:
        """As the service goes about it."""
        plain = plain_search(request)
        assert plain is not None
        found = plain.result(await self._queries.fetch(plain.statement, plain.values), 0)
        return found if found is not None else await self._queries.query(search_further, plain.further)


def _document(rows: Any) -> Document:
    passages = (Passage(row.number, row.text, analyse_chunk([row.text], corpus.LANGUAGE), row.vector) for row in rows)
    return Document(rows[0].number // corpus.CHUNKS_A_DOCUMENT, tuple(passages))


def opened(place: str, given: Given) -> RagIndex:
    return RagIndex(place, given.count)
