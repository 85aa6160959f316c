"""From claimed documents to searchable chunks: fetch, parse, cut, embed, and one short transaction for several.

No transaction is open while bytes are read, parsed, embedded or analysed. The unit of failure is one document: it gets
a state and a reason, and the others of its group go on.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from ragindex_core.analysis import analyse_chunk, detect_language
from ragindex_core.chunking import ChunkingRules, ChunkingStrategy, chunk, clamped
from ragindex_core.document import Block, BlockKind, Chunk, DocumentReason, MetadataValue, ParsedDocument, Span
from ragindex_core.errors import DocumentRejected, RagIndexError, Throttled, Unavailable
from ragindex_core.object.ingestion import OnSourceDeletion
from ragindex_core.object.revision import complete
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Fetched, Source
from ragindex_db import contents, documents, groups, keyword, ledger, queue, search, signals, writer
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_db.queue import Claim
from ragindex_db.revisions import RevisionRow
from ragindex_worker.embedding import CachingEmbedder, Embedded, EmbeddingFailed, Stopped
from ragindex_worker.metadata import sidecar_attributes
from ragindex_worker.parsing.sandbox import Sandbox

log = logging.getLogger(__name__)

#: Raise it when the same text would be cut differently: the new form is taken as documents change, or by a rebuild.
LAYOUT_VERSION = 1

#: Names the parser of a document that was cut from its stored text.
_STORED = "stored/1"
_PARAGRAPH = re.compile(r"\S.*(?:\n[^\S\n]*\S.*)*")  # lines with something on them, one after another
_INTERNAL = "RagIndex failed on this document; its log has the details"
_PROVIDER_AWAY = timedelta(seconds=30)
#: Documents are embedded and written together until they have this much text: what is in hand stays small.
_MOST_CHARACTERS = 500_000
_RETRY_AFTER = [timedelta(seconds=s) for s in (5, 30, 120, 600)]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a group of claims belongs: one revision of one index, with what it is built by."""

    index: IndexRow
    spec: RagIndexSpec
    revision: RevisionRow
    embedder: CachingEmbedder
    open_source: Callable[[str], Source]

    @property
    def rules(self) -> ChunkingRules:
        built = complete(dict(self.revision.projection))
        limit = self.embedder.embedder.info.max_input_tokens
        return ChunkingRules(
            strategy=ChunkingStrategy(built["chunking.strategy"]),
            max_tokens=clamped(built["chunking.maxTokens"], limit),
            overlap_tokens=built["chunking.overlapTokens"],
        )


@dataclass(slots=True)
class _Prepared:
    """A document that is parsed and cut, on its way to its vectors."""

    claim: Claim
    fetched: Fetched
    parsed: ParsedDocument
    language: str | None
    given: dict[str, MetadataValue]
    chunks: list[Chunk]
    keys: list[bytes] = field(default_factory=list)
    spent: int = 0  # tokens that were embedded for it now

    @property
    def version(self) -> str:
        return _version(self.fetched)


#: Bytes, what was made of them, and what is said beside them.
_Read: TypeAlias = tuple[Fetched, ParsedDocument, dict[str, MetadataValue]]


class Pipeline:
    """Works off groups of claims, on one thread, with a parser process of its own."""

    def __init__(self, database: Database, sandbox: Sandbox, scratch: Path, stopping: Callable[[], bool]) -> None:
        self._database = database
        self._sandbox = sandbox
        self._scratch = scratch
        self._stopping = stopping

    def process(self, claims: Sequence[Claim], target: Target) -> None:
        waiting = deque(claims)
        prepared: list[_Prepared] = []
        while waiting:
            if self._stopping():
                self._give_back([*waiting, *(p.claim for p in prepared)])
                return
            ready = self._prepare_or_fail(waiting.popleft(), target)
            if ready is not None:
                prepared.append(ready)
            if sum(len(p.parsed.text) for p in prepared) >= _MOST_CHARACTERS:
                self._embed_and_write(prepared, target)
                prepared = []
        if prepared:
            self._embed_and_write(prepared, target)

    def _prepare_or_fail(self, claim: Claim, target: Target) -> _Prepared | None:
        try:
            return self._prepare(claim, target)
        except DocumentRejected as rejection:
            self._fail(claim, target, rejection.reason, str(rejection))
        except Unavailable as error:
            self._fail(claim, target, DocumentReason.UNREADABLE, str(error))
        except RagIndexError:
            raise
        except Exception:
            log.exception("document could not be prepared", extra=_names(claim))
            self._fail(claim, target, DocumentReason.INTERNAL, _INTERNAL)
        return None

    def _prepare(self, claim: Claim, target: Target) -> _Prepared | None:
        """None when the bytes are those that are indexed already."""
        if claim.attempts > target.spec.ingestion.max_attempts_per_document:
            # Only workers that died in the middle leave a document with more attempts than it may have.
            raise DocumentRejected(DocumentReason.POISON, f"the worker died on it {claim.attempts - 1} times")
        try:
            read = self._read(claim, target)
        except DocumentRejected as rejection:
            kept = self._last_read(claim, target) if rejection.reason is DocumentReason.UNREADABLE else None
            if kept is None:
                raise
            read = kept
        if read is None:
            return None
        fetched, parsed, given = read
        language = parsed.language or detect_language(parsed.text)
        chunks = chunk(parsed, target.rules, target.embedder.embedder.tokenizer)
        prepared = _Prepared(claim, fetched, replace(parsed, blocks=()), language, given, chunks)
        prepared.keys = [target.embedder.key(c.embedded_text) for c in chunks]
        return prepared

    def _read(self, claim: Claim, target: Target) -> _Read | None:
        source = target.open_source(claim.source)
        with tempfile.NamedTemporaryFile(dir=self._scratch) as file:
            fetched = source.fetch(claim.key, file, target.spec.ingestion.max_object_bytes)  # type: ignore[arg-type]
            file.flush()
            given = sidecar_attributes(source, claim)
            if claim.parser is not None and claim.indexed_version == _version(fetched):
                self._keep(claim, target, fetched, given)
                return None
            return fetched, self._sandbox.parse(Path(file.name), claim.key), given

    def _last_read(self, claim: Claim, target: Target) -> _Read | None:
        """What an older revision holds of a document that its source lost and the spec keeps: a revision that has
        nothing of it takes that text. Its blocks were not kept; the spans point into the same text."""
        if target.spec.ingestion.on_source_deletion is not OnSourceDeletion.KEEP or claim.indexed_version is not None:
            return None
        found = self._database.run(contents.stored, claim.document_id)
        if found is None:
            return None
        parsed = ParsedDocument(
            text=found.text,
            blocks=tuple(Block(BlockKind.PARAGRAPH, Span(*m.span())) for m in _PARAGRAPH.finditer(found.text)),
            title=found.title,
            language=found.language,
            media_type=found.media_type,
            metadata=found.parser_metadata,
            parser=_STORED,
        )
        fetched = Fetched(version=claim.source_version, sha256=found.sha256, size=found.size)
        return fetched, parsed, dict(found.metadata)

    def _keep(self, claim: Claim, target: Target, fetched: Fetched, given: dict[str, MetadataValue]) -> None:
        """The bytes did not change: only the metadata beside them may have."""
        with self._database.begin() as connection:
            if queue.hold(connection, [claim]):
                documents.set_given_metadata(connection, target.index.id, claim.document_id, given)
                documents.set_read(connection, claim.document_id, version=_version(fetched), sha256=fetched.sha256)
                queue.unchanged(connection, claim)
                signals.send(connection, f"index:{claim.index_id}")

    def _embed_and_write(self, prepared: list[_Prepared], target: Target) -> None:
        texts = {
            key: chunk.embedded_text
            for p in prepared
            for key, chunk in zip(p.keys, p.chunks, strict=True)
            if chunk.searchable
        }
        try:
            embedded = target.embedder.embed(target.index.id, texts, {p.claim.document_id: p.keys for p in prepared})
        except Stopped:
            self._give_back([p.claim for p in prepared])
            return
        except Throttled as error:
            self._give_back([p.claim for p in prepared], timedelta(seconds=error.retry_after_seconds or 5.0))
            return
        except EmbeddingFailed as error:
            self._find_who_is_to_blame(prepared, target, error)
            return
        ready = []
        for p in prepared:
            refused = [embedded.refused[key] for key in p.keys if key in embedded.refused]
            p.spent = sum(embedded.tokens.pop(key, 0) for key in p.keys)
            if refused:
                self._fail(p.claim, target, DocumentReason.EMBEDDING_REFUSED, refused[0])
            else:
                ready.append(p)
        if ready:
            self._write_or_fail(ready, target, embedded)

    def _find_who_is_to_blame(self, prepared: list[_Prepared], target: Target, error: EmbeddingFailed) -> None:
        """Of a group that the model would not embed: a provider that is away costs no document an attempt, and one
        that works fails only the documents that it fails alone."""
        if not target.embedder.works():
            claims = [p.claim for p in prepared]
            self._give_back(claims, _PROVIDER_AWAY, DocumentReason.EMBEDDING_FAILED, str(error))
        elif len(prepared) == 1:
            self._fail(prepared[0].claim, target, DocumentReason.EMBEDDING_FAILED, str(error))
        else:
            for each in prepared:
                self._embed_and_write([each], target)

    def _write_or_fail(self, ready: Sequence[_Prepared], target: Target, embedded: Embedded) -> None:
        """Together; when that cannot be, one by one, so that only the one fails that cannot be written."""
        try:
            self._write(ready, target, embedded)
        except RagIndexError:
            raise  # the database is away: the lease runs out, or is given back
        except Exception:
            if len(ready) > 1:
                log.warning("documents could not be written together", exc_info=True)
                for p in ready:
                    self._write_or_fail([p], target, embedded)
            else:
                log.exception("document could not be written", extra=_names(ready[0].claim))
                self._fail(ready[0].claim, target, DocumentReason.INTERNAL, _INTERNAL)

    def _write(self, ready: Sequence[_Prepared], target: Target, embedded: Embedded) -> None:
        """All of these documents or nothing of them, but for those whose lease is not ours any more."""
        chunks = {p.claim.token: _embedded_chunks(p, embedded) for p in ready}
        index, tables = target.index, target.revision.tables
        with self._database.begin() as connection:
            held = {claim.token for claim in queue.hold(connection, [p.claim for p in ready])}
            ours = [p for p in ready if p.claim.token in held]
            for p in ready:
                if p.claim.token not in held:
                    log.info("lease lost before writing", extra=_names(p.claim))
            if not ours:
                return
            ids = [p.claim.document_id for p in ours]
            content_ids = contents.store(connection, [_text(p) for p in ours])
            access = groups.of_documents(connection, ids)
            written = [
                writer.DocumentChunks(
                    document_id=p.claim.document_id,
                    namespace=p.claim.namespace,
                    version=p.version,
                    content_id=content_ids[p.claim.document_id],
                    language=p.language,
                    access_groups=access[p.claim.document_id],
                    chunks=chunks[p.claim.token],
                )
                for p in ours
            ]
            sealed = not search.vector_index_exists(connection, tables)
            writer.replace_chunks(connection, tables, written, sealed=sealed)
            documents.set_parsed(connection, index.id, [_taught(p) for p in ours])
            queue.indexed(connection, [_outcome(p, content_ids[p.claim.document_id]) for p in ours])
            contents.forget_old(connection, ids)
            ledger.record_usage(connection, _usage(ours, target))
            signals.send(connection, f"index:{index.id}")

    def _fail(self, claim: Claim, target: Target, reason: DocumentReason, message: str) -> None:
        left = target.spec.ingestion.max_attempts_per_document - claim.attempts
        again = _RETRY_AFTER[min(claim.attempts, len(_RETRY_AFTER)) - 1] if reason.retryable and left > 0 else None
        with self._database.begin() as connection:
            if queue.hold(connection, [claim]):
                queue.failed(connection, claim, reason, message, again)
                signals.send(connection, f"index:{claim.index_id}")
        log.info("document not indexed", extra={**_names(claim), "reason": reason.value, "again": again is not None})

    def _give_back(
        self,
        claims: Sequence[Claim],
        delay: timedelta = timedelta(),
        reason: DocumentReason | None = None,
        message: str | None = None,
    ) -> None:
        with self._database.begin() as connection:
            queue.give_back(connection, claims, delay, reason=reason, message=message)
            if delay:
                signals.send(connection, f"index:{claims[0].index_id}")


def _embedded_chunks(prepared: _Prepared, embedded: Embedded) -> list[writer.EmbeddedChunk]:
    chunks = []
    for each, key in zip(prepared.chunks, prepared.keys, strict=True):
        if each.searchable:
            analysed = analyse_chunk([each.context, each.text], prepared.language)
            terms = keyword.encode(analysed.length, analysed.frequencies, analysed.row)
            chunks.append(writer.EmbeddedChunk(each, embedded.vectors[key], terms))
        else:
            chunks.append(writer.EmbeddedChunk(each, None, None))
    return chunks


def _text(prepared: _Prepared) -> contents.Text:
    claim = prepared.claim
    return contents.Text(claim.document_id, claim.namespace, prepared.version, prepared.parsed.text)


def _taught(prepared: _Prepared) -> documents.Read:
    return documents.Read(
        document_id=prepared.claim.document_id,
        title=prepared.parsed.title or PurePosixPath(prepared.claim.key).name,
        version=prepared.version,
        sha256=prepared.fetched.sha256,
        media_type=prepared.parsed.media_type,
        language=prepared.language,
        parser_metadata=prepared.parsed.metadata,
        given=prepared.given,
    )


def _outcome(prepared: _Prepared, content_id: int) -> queue.Indexed:
    return queue.Indexed(
        claim=prepared.claim,
        version=prepared.version,
        content_id=content_id,
        chunks=len(prepared.chunks),
        tokens=sum(chunk.tokens for chunk in prepared.chunks),
        parser=prepared.parsed.parser,
        layout=LAYOUT_VERSION,
    )


def _usage(written: Sequence[_Prepared], target: Target) -> list[ledger.Usage]:
    spent = sum(p.spent for p in written)
    info = target.embedder.embedder.info
    route = f"{info.provider}/{info.model}"
    return [ledger.Usage(target.index.id, target.index.namespace, "Embedding", route, spent)] if spent else []


def _version(fetched: Fetched) -> str:
    """The version of a document as people see it: the beginning of the hash of its bytes."""
    return fetched.sha256[:16]


def _names(claim: Claim) -> dict[str, Any]:
    return {"document": claim.document_id, "revision": claim.revision_id, "attempt": claim.attempts}
