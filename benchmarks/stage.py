"""What suites measure on: a PostgreSQL of their own, and indexes in it that RagIndex itself made and filled.

The folder is a temporary one, unless the caller names one to keep: an index that lies there ready is then used again.
"""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import sqlalchemy as sa

from benchmarks import corpus
from benchmarks.corpus import Document, Passage
from ragindex_core.analysis import ANALYSER_VERSION, Analysed
from ragindex_core.document import Chunk, Span
from ragindex_core.object.resource import knowledge_base_id
from ragindex_core.object.revision import key_of, projection
from ragindex_core.object.spec import RagIndexSpec
from ragindex_db import indexes, installations, keyword, revisions, schema, search, writer
from ragindex_db.data_tables import RevisionTables
from ragindex_db.engine import Connection, Database, DatabaseSettings
from ragindex_db.indexes import IndexRow
from ragindex_db.migrate import bootstrap, migrate
from ragindex_db.search.filter_sql import replace_document_metadata
from ragindex_local.postgres import EmbeddedPostgres

T = TypeVar("T")

INSTALLATION = "benchmarks"
NAMESPACE = "benchmarks"
ENDPOINT = "queries"  # the name of the endpoint that embeds, see service.py
#: Passages of the index that most suites share, so that it is made once.
USUAL, USUAL_QUICK = 100_000, 10_000
_COMPLETE = "Active"  # the state of a revision that holds all it should
_DOCUMENTS_AT_ONCE = 50
_M, _EF_CONSTRUCTION = 16, 128  # the defaults of spec.index.hnsw


def say(text: str) -> None:
    """What is being done, for whoever waits."""
    print(f"  {text}", file=sys.stderr, flush=True)


def pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the synthetic corpus, with its revision's tables."""

    row: IndexRow
    tables: RevisionTables
    chunks: int

    @property
    def path(self) -> str:
        return f"/v1/indexes/{self.row.namespace}/{self.row.name}"


class Stage:
    """A running server with RagIndex's schema in it; ``index`` makes and fills an index once."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, url: str) -> None:
        self.folder = folder
        self.server = server
        self.url = url
        self.database = Database(DatabaseSettings(url=url, pool_size=8, application_name="benchmarks"))
        bootstrap(self.database)
        migrate(self.database)
        self.database.run(installations.raise_epoch, INSTALLATION, "benchmarks")

    @property
    def server_pid(self) -> int:
        assert self.server.pid is not None
        return self.server.pid

    def index(self, chunks: int) -> Index:
        """One with so many passages of the corpus, all sealed, its vector index built."""
        name = f"passages-{chunks}"
        found = self._find(name, chunks)
        if found is not None and found[1] == _COMPLETE:
            return found[0]
        started = time.monotonic()
        index = self.empty_index(name, chunks)
        say(f"writing {chunks:,} passages")
        for part in pieces(corpus.documents(chunks), _DOCUMENTS_AT_ONCE):
            with self.database.begin() as connection:
                ids = add_documents(connection, index, part)
                write(connection, index, list(zip(part, ids, strict=True)))
        say(f"sealing the postings ({time.monotonic() - started:.0f} s so far)")
        self.seal(index)
        say(f"building the vector index ({time.monotonic() - started:.0f} s so far)")
        search.build_vector_index(self.database, index.tables, m=_M, ef_construction=_EF_CONSTRUCTION)
        self.vacuum()
        with self.database.begin() as connection:
            revisions.update(connection, index.tables.revision_id, state=_COMPLETE)
        say(f"index {name} is there after {time.monotonic() - started:.0f} s")
        return index

    def empty_index(self, name: str, chunks: int = 0) -> Index:
        """Registered, with a revision that serves and has its tables; what a run that was ended left goes first."""
        left = self._find(name, chunks)
        if left is not None:
            self.drop(left[0])
        spec = RagIndexSpec.model_validate(
            {
                "embedding": {
                    "provider": "OpenAI",
                    "model": "queries",
                    "dimensions": corpus.DIMENSIONS,
                    "endpointRef": {"name": ENDPOINT},
                },
                "sources": [{"name": "files", "directory": {"path": "files"}}],
            }
        )
        uid = str(uuid.uuid4())
        built = projection(spec)
        with self.database.begin() as connection:
            row = indexes.register(
                connection,
                installation=INSTALLATION,
                uid=uid,
                namespace=NAMESPACE,
                name=name,
                generation=1,
                object_metadata={},
                spec=spec.model_dump(mode="json", by_alias=True, exclude_none=True),
                knowledge_base_id=knowledge_base_id(uid),
                base_path=str(self.folder),
                suspended=False,
            )
            revision = revisions.create(connection, row.id, key_of(built), built, ANALYSER_VERSION)
            revisions.create_tables(connection, revision.tables)
            indexes.serve(connection, row.id, revision.id)
        return Index(row, revision.tables, chunks)

    def drop(self, index: Index) -> None:
        with self.database.begin() as connection:
            revisions.drop_tables(connection, index.tables)
            indexes.remove(connection, index.row.id)

    def seal(self, index: Index) -> None:
        while not self.database.run(keyword.seal, index.tables.keyword).idle:
            pass

    def size_mib(self) -> float:
        """Of the database on disk."""
        size = sa.select(sa.func.pg_database_size(sa.func.current_database()))
        with self.database.begin() as connection:
            return float(connection.execute(size).scalar_one()) / 2**20

    def vacuum(self) -> None:
        """As autovacuum leaves the tables some minutes after they were filled."""
        with self.database.autocommit() as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))

    def _find(self, name: str, chunks: int) -> tuple[Index, str] | None:
        """The index of this name and the state of its revision."""
        with self.database.begin() as connection:
            row = next((row for row in indexes.list_live(connection, INSTALLATION) if row.name == name), None)
            if row is None or row.serving_revision_id is None:
                return None
            revision = revisions.get(connection, row.serving_revision_id)
        return Index(row, revision.tables, chunks), revision.state


@contextmanager
def opened(kept: Path | None) -> Iterator[Stage]:
    folder = kept or Path(mkdtemp(prefix="ragindex-benchmarks-"))
    server = EmbeddedPostgres(folder / "postgres", progress=say)
    try:
        stage = Stage(folder, server, server.start())
        try:
            yield stage
        finally:
            stage.database.close()
    finally:
        server.stop()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def add_documents(connection: Connection, index: Index, documents: Sequence[Document]) -> list[int]:
    """The catalogue's rows, as they are once the documents were read."""
    values: list[dict[str, Any]] = [
        {
            "index_id": index.row.id,
            "namespace": index.row.namespace,
            "source": "files",
            "key": document.key,
            "uri": f"file:///files/{document.key}",
            "title": f"Document {document.number}",
            "version": f"{document.number:016x}",
            "source_version": "1",
            "language": corpus.LANGUAGE,
            "metadata": document.metadata,
        }
        for document in documents
    ]
    insert = sa.insert(schema.documents).returning(schema.documents.c.id, sort_by_parameter_order=True)
    ids = list(connection.execute(insert, values).scalars())
    metadata = {document_id: document.metadata for document, document_id in zip(documents, ids, strict=True)}
    replace_document_metadata(connection, index.row.id, metadata)
    return ids


def write(connection: Connection, index: Index, documents: Sequence[tuple[Document, int]]) -> None:
    """Text, vectors and terms, by RagIndex's own writer; each document with its id."""
    written = [
        writer.DocumentChunks(
            document_id=document_id,
            namespace=index.row.namespace,
            version=f"{document.number:016x}",
            content_id=document_id,
            language=corpus.LANGUAGE,
            access_groups=None,
            chunks=[_embedded(ordinal, passage) for ordinal, passage in enumerate(document.passages)],
        )
        for document, document_id in documents
    ]
    writer.replace_chunks(connection, index.tables, written, sealed=True)


def _embedded(ordinal: int, passage: Passage) -> writer.EmbeddedChunk:
    chunk = Chunk(
        ordinal=ordinal,
        text=passage.text,
        span=Span(ordinal * corpus.STRIDE, ordinal * corpus.STRIDE + len(passage.text)),
        tokens=passage.analysed.length,
    )
    return writer.EmbeddedChunk(chunk, passage.vector, terms(passage.analysed))


def terms(analysed: Analysed) -> keyword.Terms:
    return keyword.encode(analysed.length, analysed.frequencies, analysed.row)


def number_of(uri: str, start: int) -> int:
    """Which passage of the corpus stands at this place of this document."""
    document = int(uri.rpartition("/")[2].removesuffix(".md"))
    return document * corpus.CHUNKS_A_DOCUMENT + start // corpus.STRIDE
