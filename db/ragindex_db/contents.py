"""The normalised text of documents, kept once a document and version however many revisions refer to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import BYTEA, insert

from ragindex_core.document import MetadataValue
from ragindex_db.given import given
from ragindex_db.schema import contents, documents, revision_documents


@dataclass(frozen=True, slots=True)
class Text:
    """One version of a document in words."""

    document_id: int
    namespace: str
    version: str
    text: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


def store(connection: Connection, texts: Sequence[Text]) -> dict[int, int]:
    """The id of each document's text, by document; a text that is there already is not written again."""
    digests = [(text.document_id, text.version, text.sha256) for text in texts]
    rows = [
        {
            "document_id": text.document_id,
            "namespace": text.namespace,
            "version": text.version,
            "text_sha256": digest,
            "text": text.text,
        }
        for text, (_, _, digest) in zip(texts, digests, strict=True)
    ]
    connection.execute(insert(contents).on_conflict_do_nothing(), rows)
    new = given(digests, document_id=sa.BigInteger(), version=sa.Text(), text_sha256=BYTEA())
    same = [contents.c[name] == new.c[name] for name in ("document_id", "version", "text_sha256")]
    found = connection.execute(
        sa.select(contents.c.document_id, contents.c.id).join_from(contents, new, sa.and_(*same))
    )
    return {row[0]: row[1] for row in found}


def forget_old(connection: Connection, document_ids: Sequence[int]) -> None:
    """Texts of these documents that no revision refers to any more."""
    referring = sa.exists().where(revision_documents.c.content_id == contents.c.id)
    connection.execute(sa.delete(contents).where(contents.c.document_id.in_(document_ids), sa.not_(referring)))


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it was last read, for when its source has it no more."""

    text: str
    title: str | None
    sha256: str
    size: int
    media_type: str
    language: str | None
    parser_metadata: Mapping[str, MetadataValue]
    metadata: Mapping[str, MetadataValue]


def stored(connection: Connection, document_id: int) -> Stored | None:
    """None when nothing was kept of the version that was read last."""
    columns = [(contents if name == "text" else documents).c[name] for name in Stored.__slots__]
    row = connection.execute(
        sa.select(*columns)
        .join(contents, sa.and_(contents.c.document_id == documents.c.id, contents.c.version == documents.c.version))
        .where(documents.c.id == document_id, documents.c.deleted_at.is_(None))
        .order_by(contents.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Stored(**row._mapping)
