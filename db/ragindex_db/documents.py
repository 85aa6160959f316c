"""Documents: what the sources hold, their state in a revision, and their removal from everywhere at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONB, insert

from ragindex_core.document import MetadataValue
from ragindex_core.errors import NotFound
from ragindex_core.ports import SourceObject
from ragindex_core.sync.diff import KnownObject
from ragindex_db import cache, keyword, queue, revisions, schema, search
from ragindex_db.data_tables import RevisionTables
from ragindex_db.engine import Database
from ragindex_db.given import given
from ragindex_db.schema import contents, document_metadata, documents, revision_documents


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document and its state in one revision; ``state`` is None when that revision has not heard of it."""

    id: int
    source: str
    key: str
    uri: str
    title: str | None
    version: str | None
    size: int | None
    media_type: str | None
    language: str | None
    metadata: Mapping[str, Any]
    upload_id: int | None
    created_at: datetime
    modified_at: datetime | None
    deleted_at: datetime | None
    state: str | None
    reason: str | None
    message: str | None
    attempts: int | None
    next_attempt_at: datetime | None
    indexed_version: str | None
    indexed_at: datetime | None
    chunks: int | None


@dataclass(frozen=True, slots=True)
class Known(KnownObject):
    """What a sync compares a listing with, and the row it stands for."""

    document_id: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of a listing, and what the spec says of its source. Its sidecar is read when its bytes are."""

    object: SourceObject
    access_groups: tuple[str, ...] | None = None
    upload_id: int | None = None


def _joined(revision_id: int | None) -> sa.Select[Any]:
    rd = revision_documents
    state_columns = {
        "state",
        "reason",
        "message",
        "attempts",
        "next_attempt_at",
        "indexed_version",
        "indexed_at",
        "chunks",
    }
    columns = [(rd if name in state_columns else documents).c[name].label(name) for name in DocumentRow.__slots__]
    on = sa.and_(rd.c.document_id == documents.c.id, rd.c.revision_id == revision_id)
    return sa.select(*columns).select_from(documents.outerjoin(rd, on))


def page(
    connection: Connection,
    index_id: int,
    revision_id: int | None,
    *,
    state: str | None = None,
    limit: int = 100,
    after: int = 0,
) -> list[DocumentRow]:
    """Live documents in the order of their ids, from the first one above ``after``."""
    statement = (
        _joined(revision_id)
        .where(documents.c.index_id == index_id, documents.c.deleted_at.is_(None), documents.c.id > after)
        .order_by(documents.c.id)
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(revision_documents.c.state == state)
    return [DocumentRow(**row._mapping) for row in connection.execute(statement)]


def get(connection: Connection, index_id: int, document_id: int, revision_id: int | None) -> DocumentRow:
    """Also a deleted one: its row is the proof of its absence."""
    row = connection.execute(
        _joined(revision_id).where(documents.c.index_id == index_id, documents.c.id == document_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"this index has no document {document_id}")
    return DocumentRow(**row._mapping)


def known(database: Database, index_id: int, source: str, page_size: int = 2000) -> Iterator[Known]:
    """What the catalogue holds of a source, in the order of the keys (code points). Read page by page, each in a
    transaction of its own: a listing may take an hour, and no transaction should."""
    after: str | None = None
    while True:
        page = database.run(_known_page, index_id, source, after, page_size)
        yield from page
        if len(page) < page_size:
            return
        after = page[-1].key


def _known_page(connection: Connection, index_id: int, source: str, after: str | None, limit: int) -> list[Known]:
    statement = (
        sa.select(
            documents.c.id.label("document_id"),
            documents.c.key,
            documents.c.source_version.label("version"),
            documents.c.sidecar_version,
            documents.c.size,
            documents.c.sha256,
        )
        .where(documents.c.index_id == index_id, documents.c.source == source, documents.c.deleted_at.is_(None))
        .order_by(documents.c.key)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(documents.c.key > after)
    return [Known(**row._mapping) for row in connection.execute(statement)]


def count_live(connection: Connection, index_id: int, source: str) -> int:
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(documents)
        .where(documents.c.index_id == index_id, documents.c.source == source, documents.c.deleted_at.is_(None))
    ).scalar_one()


def sources(connection: Connection, index_id: int) -> set[str]:
    """The sources that live documents came from."""
    return set(
        connection.execute(
            sa.select(documents.c.source)
            .where(documents.c.index_id == index_id, documents.c.deleted_at.is_(None))
            .distinct()
        ).scalars()
    )


def ids_of_source(connection: Connection, index_id: int, source: str, limit: int) -> list[int]:
    statement = sa.select(documents.c.id).where(
        documents.c.index_id == index_id, documents.c.source == source, documents.c.deleted_at.is_(None)
    )
    return list(connection.execute(statement.limit(limit)).scalars())


def add(connection: Connection, index_id: int, namespace: str, source: str, listed: Sequence[Listed]) -> list[int]:
    """New documents, in the queue of every kept revision. One that is there already is left as it is."""
    if not listed:
        return []
    rows = [{"index_id": index_id, "namespace": namespace, "source": source, **_values(item)} for item in listed]
    statement = (
        insert(documents)
        .values(change=schema.change_numbers.next_value())
        .on_conflict_do_nothing()
        .returning(documents.c.id)
    )
    ids = list(connection.execute(statement, rows).scalars())
    new = given([(i,) for i in ids], document_id=sa.BigInteger())
    for revision in revisions.with_tables(connection, index_id) if ids else ():
        queued = sa.select(sa.literal(revision.id), new.c.document_id, sa.literal(index_id), sa.literal(namespace))
        connection.execute(
            insert(revision_documents)
            .from_select(["revision_id", "document_id", "index_id", "namespace"], queued)
            .on_conflict_do_nothing()
        )
    return ids


def change(connection: Connection, index_id: int, changed: Mapping[int, Listed]) -> None:
    """New bytes at the source: to be indexed again, in every kept revision. What is indexed stays searchable."""
    touch(connection, changed)
    queue.requeue(connection, index_id, list(changed))


def touch(connection: Connection, touched: Mapping[int, Listed]) -> None:
    """The source's token moved, the bytes did not; or only the metadata beside them did."""
    for document_id, item in sorted(touched.items()):
        connection.execute(
            sa.update(documents)
            .where(documents.c.id == document_id)
            .values(**_values(item), change=schema.change_numbers.next_value())
        )


def _values(item: Listed) -> dict[str, Any]:
    return {
        "key": item.object.key,
        "uri": item.object.uri,
        "source_version": item.object.version,
        "sidecar_version": item.object.sidecar_version,
        "size": item.object.size,
        "modified_at": item.object.modified,
        "source_metadata": dict(item.object.metadata),
        "access_groups": list(item.access_groups) if item.access_groups is not None else None,
        "upload_id": item.upload_id,
    }


@dataclass(frozen=True, slots=True)
class Read:
    """What reading a document taught."""

    document_id: int
    title: str | None
    version: str
    sha256: str
    media_type: str
    language: str | None
    parser_metadata: Mapping[str, MetadataValue]
    given: Mapping[str, MetadataValue]  # said beside it

    @property
    def metadata(self) -> dict[str, MetadataValue]:
        return {**self.parser_metadata, **self.given}


def set_parsed(connection: Connection, index_id: int, read: Sequence[Read]) -> None:
    """Written in the transaction that makes the documents searchable."""
    new = given(
        [
            (r.document_id, r.title, r.version, r.sha256, r.media_type, r.language, dict(r.parser_metadata), r.metadata)
            for r in read
        ],
        document_id=sa.BigInteger(),
        title=sa.Text(),
        version=sa.Text(),
        sha256=sa.Text(),
        media_type=sa.Text(),
        language=sa.Text(),
        parser_metadata=JSONB(),
        metadata=JSONB(),
    )
    values = {name: new.c[name] for name in new.c.keys() if name != "document_id"}  # noqa: SIM118  no mapping
    connection.execute(
        sa.update(documents)
        .where(documents.c.id == new.c.document_id)
        .values(**values, change=schema.change_numbers.next_value())
    )
    search.replace_document_metadata(connection, index_id, {r.document_id: r.metadata for r in read})


def set_given_metadata(
    connection: Connection, index_id: int, document_id: int, said: Mapping[str, MetadataValue]
) -> None:
    """Only what is said beside the document may have changed: merged anew over what the file says."""
    parsed = connection.execute(
        sa.select(documents.c.parser_metadata).where(documents.c.id == document_id)
    ).scalar_one()
    metadata = {**parsed, **said}
    connection.execute(sa.update(documents).where(documents.c.id == document_id).values(metadata=metadata))
    search.replace_document_metadata(connection, index_id, {document_id: metadata})


def set_read(connection: Connection, document_id: int, *, version: str, sha256: str) -> None:
    """The version that was read, for a document that cannot be indexed."""
    connection.execute(
        sa.update(documents)
        .where(documents.c.id == document_id)
        .values(version=version, sha256=sha256, change=schema.change_numbers.next_value())
    )


def content(connection: Connection, document_id: int, version: str | None, revision_id: int | None) -> tuple[str, str]:
    """Version and normalised text: the one asked for, else the one that ``revision_id`` has indexed."""
    statement = sa.select(contents.c.version, contents.c.text).where(contents.c.document_id == document_id)
    if version is None:
        statement = statement.join(
            revision_documents,
            sa.and_(revision_documents.c.content_id == contents.c.id, revision_documents.c.revision_id == revision_id),
        )
    else:
        statement = statement.where(contents.c.version == version)
    row = connection.execute(statement.order_by(contents.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound("there is no text of this document" + (f" in version {version}" if version else " yet"))
    return row[0], row[1]


def delete(connection: Connection, index_id: int, document_ids: Sequence[int]) -> int:
    """Gone from every kept revision, with its text, metadata, bytes and cache entries, in this one transaction."""
    ids = sorted(document_ids)
    locked = connection.execute(
        sa.select(documents.c.id)
        .where(documents.c.index_id == index_id, documents.c.id.in_(ids), documents.c.deleted_at.is_(None))
        .order_by(documents.c.id)
        .with_for_update()
    )
    ids = list(locked.scalars())
    if not ids:
        return 0
    kept = revisions.with_tables(connection, index_id)
    for revision in kept:
        delete_chunks(connection, revision.tables, ids)
    cache.forget(connection, index_id, ids)
    connection.execute(sa.delete(revision_documents).where(revision_documents.c.document_id.in_(ids)))
    connection.execute(sa.delete(contents).where(contents.c.document_id.in_(ids)))
    connection.execute(sa.delete(document_metadata).where(document_metadata.c.document_id.in_(ids)))
    drop_uploads(connection, ids)
    # An answer quotes what it was made from: the turns that rest on these documents go with them.
    turns = schema.conversation_turns
    connection.execute(sa.delete(turns).where(turns.c.document_ids.overlap(ids)))
    connection.execute(
        sa.update(documents)
        .where(documents.c.id.in_(ids))
        .values(
            deleted_at=sa.func.now(),
            title=None,
            metadata={},
            source_metadata={},
            parser_metadata={},
            upload_id=None,
            change=schema.change_numbers.next_value(),
        )
    )
    return len(ids)


def drop_uploads(connection: Connection, document_ids: Sequence[int], *, but: int | None = None) -> None:
    """The bytes these documents were sent as, all or all but one upload's, and what was said of them.

    What came with an idempotency key stays as a row without either for a while: the same request, sent again, must
    find that it was done, and not do it again.
    """
    uploads, parts = schema.uploads, schema.upload_parts
    these = sa.and_(uploads.c.document_id.in_(document_ids), sa.true() if but is None else uploads.c.id != but)
    connection.execute(sa.delete(parts).where(parts.c.upload_id.in_(sa.select(uploads.c.id).where(these))))
    connection.execute(sa.delete(uploads).where(these, uploads.c.idempotency_key.is_(None)))
    connection.execute(sa.update(uploads).where(these).values(metadata={}))


def delete_chunks(connection: Connection, tables: RevisionTables, document_ids: Sequence[int]) -> None:
    """Remove the chunks of these documents from one revision."""
    connection.execute(sa.delete(tables.vector).where(tables.vector.c.document_id.in_(document_ids)))
    keyword.delete_documents(connection, tables.keyword, document_ids)
    connection.execute(sa.delete(tables.chunk).where(tables.chunk.c.document_id.in_(document_ids)))
