"""What answers a query: the index, the one revision that serves, and searches of it that see one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragindex_core.analysis import KeywordQuery
from ragindex_core.errors import Gone
from ragindex_db import indexes, keyword, revisions
from ragindex_db.compiled import Reader
from ragindex_db.data_tables import RevisionTables
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_db.schema import contents, documents
from ragindex_db.search import SearchRequest, SearchResult, StoredChunk, search
from ragindex_db.search.vector import has_valid_index


@dataclass(frozen=True, slots=True)
class Serving:
    """Read in one transaction. ``revision`` is None until the first one has tables to be searched; ``has_index`` says
    whether its vector index is valid."""

    index: IndexRow
    revision: RevisionRow | None
    has_index: bool = False


def find(connection: Reader, installation: str, namespace: str, name: str) -> Serving:
    """Raises NotFound for a name that no live object has."""
    index = indexes.find(connection, installation, namespace, name)
    if index.serving_revision_id is None:
        return Serving(index, None)
    try:
        revision = revisions.get(connection, index.serving_revision_id)
    except Gone:
        return Serving(index, None)
    if not revision.tables_ready:
        return Serving(index, None)
    return Serving(index, revision, has_valid_index(connection, revision.tables))


def languages(connection: Reader, index_id: int) -> tuple[str | None, ...]:
    """Those of the documents that were read, None among them when nobody could tell one's; most frequent first."""
    language = documents.c.language
    rows = connection.execute(
        sa.select(language)
        .where(documents.c.index_id == index_id, documents.c.deleted_at.is_(None), documents.c.version.isnot(None))
        .group_by(language)
        .order_by(sa.func.count().desc(), language)
    )
    return tuple(rows.scalars())


def search_all(connection: Reader, requests: Sequence[SearchRequest]) -> list[SearchResult]:
    """Several searches of one state of the revision: for a transaction of isolation level REPEATABLE READ."""
    return [search(connection, request) for request in requests]


def term_weights(connection: Reader, tables: RevisionTables, query: KeywordQuery) -> dict[str, float]:
    """The idf of each term of the question: how telling it is in this revision."""
    return dict(zip(query.terms, keyword.facts(connection, tables.keyword, query).idfs, strict=True))


def verified(connection: Reader, chunks: Sequence[StoredChunk]) -> set[int]:
    """The ids of those chunks whose text is, at this moment, word for word what their span of the content says."""
    if not chunks:
        return set()
    given = sa.values(
        sa.column("chunk_id", sa.BigInteger),
        sa.column("content_id", sa.BigInteger),
        sa.column("start", sa.Integer),
        sa.column("text", sa.Text),
        name="given",
    ).data([(chunk.chunk_id, chunk.content_id, chunk.span_start, chunk.text) for chunk in chunks])
    quoted = sa.func.substr(contents.c.text, given.c.start + 1, sa.func.length(given.c.text))
    statement = (
        sa.select(given.c.chunk_id).join(contents, contents.c.id == given.c.content_id).where(quoted == given.c.text)
    )
    return set(connection.execute(statement).scalars())
