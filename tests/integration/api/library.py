"""A small index with what was written into it, and the service in front of it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from ragindex_api.app import create_app
from ragindex_api.metrics import Metrics
from ragindex_api.server import ApiServer
from ragindex_api.services import Services
from ragindex_api.settings import ApiSettings
from ragindex_core.analysis import analyse_chunk
from ragindex_core.chunking import ChunkingRules, chunk
from ragindex_core.document import Block, BlockKind, Chunk, ParsedDocument, Span
from ragindex_core.object.resource import knowledge_base_id
from ragindex_core.object.revision import key_of, projection
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Generator, InputType, SourceObject
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_core.testing.generator import ScriptedGenerator
from ragindex_db import contents, documents, indexes, installations, keyword, queue, revisions, schema, signals, writer
from ragindex_db.documents import Listed
from ragindex_db.engine import AsyncDatabase, Database, DatabaseSettings
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow

SPEC: dict[str, Any] = {
    "embedding": {"provider": "OpenAI", "model": "words", "dimensions": 64},
    "sources": [{"name": "files", "directory": {"path": "files"}}, {"name": "uploads", "uploads": {}}],
    "ingestion": {"maxObjectBytes": 3 * 1024 * 1024},
}


@dataclass
class Library:
    """Writes documents as a worker would, without one."""

    database: Database
    installation: str = "test"
    embedder: HashEmbedder = field(default_factory=lambda: HashEmbedder(64))

    def index(self, name: str = "handbook", namespace: str = "hr", **spec: Any) -> IndexRow:
        uid = str(uuid.uuid4())
        wire = RagIndexSpec.model_validate(SPEC | spec).model_dump(mode="json", by_alias=True, exclude_none=True)
        with self.database.begin() as connection:
            installations.raise_epoch(connection, self.installation, "test")
            row = indexes.register(
                connection,
                installation=self.installation,
                uid=uid,
                namespace=namespace,
                name=name,
                generation=1,
                object_metadata={"annotations": {"note": "kept"}},
                spec=wire,
                knowledge_base_id=knowledge_base_id(uid),
                base_path=None,
                suspended=bool(spec.get("suspend")),
            )
            indexes.write_status(connection, row.id, {"conditions": []})
        return row

    def revision(self, index: IndexRow, *, serve: bool = True, **embedding: Any) -> RevisionRow:
        spec = dict(index.spec)
        spec["embedding"] = {**spec["embedding"], **embedding}
        built = projection(RagIndexSpec.model_validate(spec))
        with self.database.begin() as connection:
            row = revisions.create(connection, index.id, key_of(built), built, 1)
            revisions.create_tables(connection, row.tables)
            revisions.update(connection, row.id, embedding_allowed=True, state="Active" if serve else "Building")
            revisions.enqueue_all(connection, row, index.namespace)
            if serve:
                indexes.serve(connection, index.id, row.id)
        return self.database.run(revisions.get, row.id)

    def document(self, index: IndexRow, key: str, text: str, metadata: Mapping[str, Any] | None = None) -> int:
        """A document of the source ``files``, in the queue of every revision."""
        at = SourceObject(key=key, uri=f"file:///files/{key}", version=uuid.uuid4().hex, size=len(text))
        with self.database.begin() as connection:
            [document_id] = documents.add(connection, index.id, index.namespace, "files", [Listed(at)])
        self.work(index, {document_id: text}, metadata or {})
        return document_id

    def work(
        self,
        index: IndexRow,
        texts: Mapping[int, str],
        metadata: Mapping[str, Any] | None = None,
        embedder: HashEmbedder | None = None,
    ) -> None:
        """Everything queued, in every revision; ``texts`` are the documents' contents."""
        with self.database.begin() as connection:
            claims = queue.claim(connection, "test", 1000, index_id=index.id)
            for claim in claims:
                revision = revisions.get(connection, claim.revision_id)
                self._write(connection, claim, revision, texts[claim.document_id], metadata or {}, embedder)
            signals.send(connection, f"index:{index.id}")

    def index_suspended(self, index: IndexRow) -> None:
        with self.database.begin() as connection:
            spec = {**index.spec, "suspend": True}
            connection.execute(
                sa.update(schema.indexes).where(schema.indexes.c.id == index.id).values(spec=spec, suspended=True)
            )

    def turns(self) -> int:
        with self.database.begin() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(schema.conversation_turns)).scalar_one()

    def parts(self) -> int:
        """Of uploads, finished or not."""
        with self.database.begin() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(schema.upload_parts)).scalar_one()

    def documents(self, index: IndexRow) -> list[documents.DocumentRow]:
        return self.database.run(documents.page, index.id, None)

    def delete(self, index: IndexRow, document_id: int) -> None:
        self.database.run(documents.delete, index.id, [document_id])

    @staticmethod
    def runs(connection: sa.Connection, index: IndexRow) -> Sequence[sa.Row[Any]]:
        runs = schema.query_runs
        return connection.execute(sa.select(runs).where(runs.c.index_id == index.id).order_by(runs.c.created_at)).all()

    def _write(
        self,
        connection: sa.Connection,
        claim: queue.Claim,
        revision: RevisionRow,
        text: str,
        metadata: Mapping[str, Any],
        embedder: HashEmbedder | None,
    ) -> None:
        embedder = embedder or self.embedder
        digest = sha256(text.encode()).hexdigest()
        version = digest[:16]
        parsed = _parsed(text)
        chunks = chunk(parsed, ChunkingRules(), embedder.tokenizer)
        vectors = embedder.embed([each.embedded_text for each in chunks], InputType.PASSAGE).vectors
        assert queue.hold(connection, [claim])
        kept = contents.Text(claim.document_id, claim.namespace, version, text)
        content_id = contents.store(connection, [kept])[claim.document_id]
        written = writer.DocumentChunks(
            document_id=claim.document_id,
            namespace=claim.namespace,
            version=version,
            content_id=content_id,
            language="en",
            access_groups=None,
            chunks=[
                writer.EmbeddedChunk(each, vector, _terms(each)) for each, vector in zip(chunks, vectors, strict=True)
            ],
        )
        writer.replace_chunks(connection, revision.tables, [written], sealed=True)
        given = {**claim.source_metadata, **metadata}
        read = documents.Read(claim.document_id, parsed.title, version, digest, "text/plain", "en", {}, given)
        documents.set_parsed(connection, claim.index_id, [read])
        tokens = sum(each.tokens for each in chunks)
        done = queue.Indexed(claim, version, content_id, len(chunks), tokens, parser="test/1", layout=1)
        queue.indexed(connection, [done])


def _terms(each: Chunk) -> keyword.Terms:
    analysed = analyse_chunk([each.context, each.text], "en")
    return keyword.encode(analysed.length, analysed.frequencies, analysed.row)


def _parsed(text: str) -> ParsedDocument:
    """Paragraphs are blocks; the first line is the title."""
    blocks = []
    start = 0
    for paragraph in text.split("\n\n"):
        blocks.append(Block(BlockKind.PARAGRAPH, Span(start, start + len(paragraph))))
        start += len(paragraph) + 2
    return ParsedDocument(text, tuple(blocks), title=text.partition("\n")[0], language="en")


@dataclass
class Service:
    """The application on a real port, in a thread of its own."""

    server: ApiServer
    metrics: Metrics
    thread: threading.Thread
    url: str

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(timeout=20)
        assert not self.thread.is_alive(), "the service stops when it is told to"


def serve(
    database_url: str,
    *,
    embedder: Embedder | Mapping[str, Embedder],
    generator: Generator | None = None,
    settings: ApiSettings | None = None,
) -> Service:
    metrics = Metrics()
    database = AsyncDatabase(DatabaseSettings(url=database_url, pool_size=4, statement_timeout_ms=10_000))
    services = Services(
        database=database,
        installation="test",
        open_embedder=lambda choice: embedder[choice.model] if isinstance(embedder, Mapping) else embedder,
        open_generator=lambda _choices: generator or ScriptedGenerator(),
        metrics=metrics,
    )
    settings = settings or ApiSettings()
    server = ApiServer(create_app(services, settings), settings, "127.0.0.1", 0)

    async def run() -> None:
        await server.serve()
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="service")
    thread.start()
    assert server.ready.wait(10)
    return Service(server, metrics, thread, f"http://127.0.0.1:{server.port}")


def events(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Name and data of each server-sent event."""
    found: list[tuple[str, str]] = []
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, line.removeprefix("data: ")))
    return found
