"""The catalogue: what RagIndex knows of its indexes, their revisions, documents and work. Schema ``ragindex``.

Alembic migrates these tables (``migrations/``); a test holds the two against each other. The tables that hold a
revision's chunks and vectors are made and dropped at run time: ``data_tables``.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

SCHEMA = "ragindex"
DATA_SCHEMA = "ragindex_data"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)

Timestamp = sa.DateTime(timezone=True)
#: Each committed change takes a number here: no counter that two transactions would wait for.
change_numbers = sa.Sequence("change_numbers", metadata=metadata, data_type=sa.BigInteger())


def _id() -> Column[int]:
    return Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def _now(name: str) -> Column[object]:
    return Column(name, Timestamp, nullable=False, server_default=sa.func.now())


def _index_id(*, ondelete: str = "CASCADE") -> Column[int]:
    return Column("index_id", sa.BigInteger, ForeignKey("ragindex.indexes.id", ondelete=ondelete), nullable=False)


#: One row an installation: the epoch that fences a former operator out.
installations = Table(
    "installations",
    metadata,
    Column("id", sa.Text, primary_key=True),
    Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
    Column("holder", sa.Text),
    _now("updated_at"),
)

#: One row a RagIndex object. ``serving_revision_id`` is what queries read: promotion is an update of this one cell.
indexes = Table(
    "indexes",
    metadata,
    _id(),
    Column("installation_id", sa.Text, ForeignKey("ragindex.installations.id"), nullable=False),
    Column("uid", UUID(as_uuid=False), nullable=False, unique=True),
    Column("namespace", sa.Text, nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("generation", sa.BigInteger, nullable=False),
    Column("object_metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("spec", JSONB, nullable=False),
    Column("status", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("knowledge_base_id", sa.Text, nullable=False),
    Column("base_path", sa.Text),  # what a relative directory source is relative to
    Column("serving_revision_id", sa.BigInteger),
    Column("held_revision_key", sa.Text),  # set by rollback: do not build this key again until it changes
    Column("suspended", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("inputs", sa.Text),  # what a scheduled run is for; null: what the spec alone says
    _now("created_at"),
    Column("retained_at", Timestamp),  # the object is gone, its data is kept
    Column("change", sa.BigInteger, nullable=False, server_default=change_numbers.next_value()),
    Index(
        "indexes_live_name_idx",
        "installation_id",
        "namespace",
        "name",
        unique=True,
        postgresql_where=text("retained_at IS NULL"),
    ),
)

revisions = Table(
    "revisions",
    metadata,
    _id(),
    _index_id(),
    Column("number", sa.Integer, nullable=False),
    Column("key", sa.Text, nullable=False),
    Column("projection", JSONB, nullable=False),  # what the key was made from: embedding and chunking
    Column("state", sa.Text, nullable=False),
    Column("analyser_version", sa.Integer, nullable=False),
    Column("tables_ready", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("embedding_allowed", sa.Boolean, nullable=False, server_default=sa.false()),  # estimate within bounds
    Column("approved", sa.Boolean, nullable=False, server_default=sa.false()),  # or accepted by a person
    Column("effective_max_tokens", sa.Integer),  # chunking.maxTokens as the embedder's limit leaves it
    Column("estimated_tokens", sa.BigInteger),
    Column("estimated_cost_micro_usd", sa.BigInteger),
    _now("created_at"),
    Column("promoted_at", Timestamp),
    Column("retired_at", Timestamp),
    Column("dropped_at", Timestamp),
    sa.UniqueConstraint("index_id", "number"),
    sa.CheckConstraint("state IN ('Building', 'Active', 'Retained', 'Dropping', 'Dropped')", name="state"),
)

#: One row an object of a source, for all revisions. A row with ``deleted_at`` is the proof of its absence.
documents = Table(
    "documents",
    metadata,
    _id(),
    _index_id(),
    Column("namespace", sa.Text, nullable=False),
    Column("source", sa.Text, nullable=False),
    Column("key", sa.Text(collation="C"), nullable=False),
    Column("uri", sa.Text, nullable=False),
    Column("title", sa.Text),
    Column("version", sa.Text),  # of the bytes: the first 16 hex digits of their SHA-256; null until first read
    Column("sha256", sa.Text),
    Column("size", sa.BigInteger),
    Column("media_type", sa.Text),
    Column("language", sa.Text),
    Column("source_version", sa.Text, nullable=False),
    Column("sidecar_version", sa.Text),
    Column("source_metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # of the listing or upload
    Column("parser_metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # what the file says itself
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # all of it, as filters see it
    Column("access_groups", ARRAY(sa.Text)),
    Column("upload_id", sa.BigInteger),
    _now("created_at"),
    Column("modified_at", Timestamp),
    Column("deleted_at", Timestamp),
    Column("change", sa.BigInteger, nullable=False, server_default=change_numbers.next_value()),
    Index(
        "documents_live_key_idx", "index_id", "source", "key", unique=True, postgresql_where=text("deleted_at IS NULL")
    ),
    Index("documents_change_idx", "index_id", "change"),
)

#: Filterable metadata, one row a value (a list has several): typed, so that filters never coerce.
document_metadata = Table(
    "document_metadata",
    metadata,
    Column("document_id", sa.BigInteger, ForeignKey("ragindex.documents.id", ondelete="CASCADE"), primary_key=True),
    Column("key", sa.Text(collation="C"), primary_key=True),
    Column("position", sa.Integer, primary_key=True),
    _index_id(),
    Column("is_list", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("text_value", sa.Text(collation="C")),
    Column("number_value", sa.Float(53)),
    Column("boolean_value", sa.Boolean),
)
# A btree entry must fit a third of a page: long strings are found by their start, then compared whole.
Index(
    "document_metadata_text_idx",
    document_metadata.c.index_id,
    document_metadata.c.key,
    sa.func.left(document_metadata.c.text_value, 200),
    postgresql_where=document_metadata.c.text_value.isnot(None),
)
Index(
    "document_metadata_number_idx",
    document_metadata.c.index_id,
    document_metadata.c.key,
    document_metadata.c.number_value,
    postgresql_where=document_metadata.c.number_value.isnot(None),
)
Index(
    "document_metadata_boolean_idx",
    document_metadata.c.index_id,
    document_metadata.c.key,
    document_metadata.c.boolean_value,
    postgresql_where=document_metadata.c.boolean_value.isnot(None),
)

#: Normalised text, once a document and version; spans of chunks and citations point into it.
contents = Table(
    "contents",
    metadata,
    _id(),
    Column("document_id", sa.BigInteger, ForeignKey("ragindex.documents.id", ondelete="CASCADE"), nullable=False),
    Column("namespace", sa.Text, nullable=False),
    Column("version", sa.Text, nullable=False),
    Column("text_sha256", BYTEA, nullable=False),
    Column("text", sa.Text, nullable=False),
    _now("created_at"),
    sa.UniqueConstraint("document_id", "version", "text_sha256"),
)

#: Per revision and document: its state, and the work queue itself.
revision_documents = Table(
    "revision_documents",
    metadata,
    Column("revision_id", sa.BigInteger, ForeignKey("ragindex.revisions.id", ondelete="CASCADE"), primary_key=True),
    Column("document_id", sa.BigInteger, ForeignKey("ragindex.documents.id", ondelete="CASCADE"), primary_key=True),
    _index_id(),
    Column("namespace", sa.Text, nullable=False),
    Column("state", sa.Text, nullable=False, server_default="Pending"),
    Column("reason", sa.Text),
    Column("message", sa.Text),
    Column("attempts", sa.Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", Timestamp, nullable=False, server_default=sa.func.now()),
    Column("lease_owner", sa.Text),
    Column("lease_token", UUID(as_uuid=False)),
    Column("lease_until", Timestamp),
    Column("indexed_version", sa.Text),
    Column("content_id", sa.BigInteger, ForeignKey("ragindex.contents.id")),
    Column("chunks", sa.Integer, nullable=False, server_default="0"),
    Column("tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("parser", sa.Text),
    Column("layout", sa.Integer),
    Column("indexed_at", Timestamp),
    Column("change", sa.BigInteger, nullable=False, server_default=change_numbers.next_value()),
    sa.CheckConstraint("state IN ('Pending', 'Processing', 'Waiting', 'Indexed', 'Failed', 'Deleting')", name="state"),
    Index(
        "revision_documents_queue_idx",
        "revision_id",
        "next_attempt_at",
        postgresql_where=text("state IN ('Pending', 'Processing')"),
    ),
    Index("revision_documents_document_idx", "document_id"),
    Index("revision_documents_content_idx", "content_id"),
    Index("revision_documents_change_idx", "index_id", "change"),
)

#: Bytes sent to the API: parts of 1 MiB; ``completed_at`` makes them visible.
uploads = Table(
    "uploads",
    metadata,
    _id(),
    _index_id(),
    Column("namespace", sa.Text, nullable=False),
    Column("source", sa.Text, nullable=False),
    Column("key", sa.Text, nullable=False),
    Column("media_type", sa.Text),
    Column("size", sa.BigInteger, nullable=False, server_default="0"),
    Column("sha256", sa.Text),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("idempotency_key", sa.Text),
    Column("document_id", sa.BigInteger),
    _now("created_at"),
    Column("completed_at", Timestamp),
    Index(
        "uploads_idempotency_idx",
        "index_id",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL AND completed_at IS NOT NULL"),
    ),
)
upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", sa.BigInteger, ForeignKey("ragindex.uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("number", sa.Integer, primary_key=True),
    Column("data", BYTEA, nullable=False),  # STORAGE EXTERNAL, set by the migration: compressing it costs seconds
)

#: What the operator read of the ConfigMap of a source, for workers cannot. No ``version``: there is none by that name.
config_maps = Table(
    "config_maps",
    metadata,
    Column("index_id", sa.BigInteger, ForeignKey("ragindex.indexes.id", ondelete="CASCADE"), primary_key=True),
    Column("source", sa.Text, primary_key=True),
    Column("namespace", sa.Text, nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("version", sa.Text),
    Column("message", sa.Text),  # why it could not be read
    _now("mirrored_at"),
)
config_map_entries = Table(
    "config_map_entries",
    metadata,
    Column("index_id", sa.BigInteger, primary_key=True),
    Column("source", sa.Text, primary_key=True),
    Column("key", sa.Text(collation="C"), primary_key=True),
    Column("namespace", sa.Text, nullable=False),
    Column("size", sa.BigInteger, nullable=False),
    Column("sha256", sa.Text, nullable=False),
    Column("data", BYTEA, nullable=False),  # STORAGE EXTERNAL, set by the migration
    sa.ForeignKeyConstraint(
        ["index_id", "source"], ["ragindex.config_maps.index_id", "ragindex.config_maps.source"], ondelete="CASCADE"
    ),
)

sync_runs = Table(
    "sync_runs",
    metadata,
    _id(),
    _index_id(),
    Column("trigger", sa.Text, nullable=False),
    Column("state", sa.Text, nullable=False, server_default="Pending"),
    Column("reason", sa.Text),
    Column("message", sa.Text),
    Column("sources", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("accepted_sources", ARRAY(sa.Text), nullable=False, server_default=text("'{}'::text[]")),  # shrink accepted
    Column("inputs", sa.Text, nullable=False),  # hash of what it was started for: a change of sources starts a run
    Column("lease_owner", sa.Text),
    Column("lease_token", UUID(as_uuid=False)),
    Column("lease_until", Timestamp),
    _now("requested_at"),
    Column("started_at", Timestamp),
    Column("completed_at", Timestamp),
    sa.CheckConstraint("state IN ('Pending', 'Running', 'Succeeded', 'Failed')", name="state"),
    Index(
        "sync_runs_one_at_a_time_idx",
        "index_id",
        unique=True,
        postgresql_where=text("state IN ('Pending', 'Running')"),
    ),
    Index("sync_runs_latest_idx", "index_id", "id"),
)

#: What people ask of an index, by annotation, CLI or API; each value acts once.
requests = Table(
    "requests",
    metadata,
    _id(),
    _index_id(),
    Column("name", sa.Text, nullable=False),
    Column("value", sa.Text, nullable=False),
    Column("origin", sa.Text, nullable=False),
    _now("created_at"),
    Column("handled_at", Timestamp),
    Column("outcome", sa.Text),
    Column("message", sa.Text),
    sa.UniqueConstraint("index_id", "name", "value"),
    Index("requests_open_idx", "index_id", postgresql_where=text("handled_at IS NULL")),
)

#: One row a search or answer: what refers to documents holds their ids, never their text.
query_runs = Table(
    "query_runs",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    _index_id(),
    Column("revision_id", sa.BigInteger),
    Column("kind", sa.Text, nullable=False),
    Column("outcome", sa.Text),
    Column("document_ids", ARRAY(sa.BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
    Column("milliseconds", sa.Float(53), nullable=False),
    _now("created_at"),
    Index("query_runs_latest_idx", "index_id", "created_at"),
)

#: One token bucket a model, shared by all processes.
provider_budgets = Table(
    "provider_budgets",
    metadata,
    Column("provider", sa.Text, primary_key=True),
    Column("model", sa.Text, primary_key=True),
    Column("tokens_per_minute", sa.BigInteger, nullable=False),
    Column("requests_per_minute", sa.BigInteger, nullable=False),
    Column("tokens", sa.Float(53), nullable=False),
    Column("requests", sa.Float(53), nullable=False),
    Column("refilled_at", Timestamp, nullable=False),
    Column("throttled_until", Timestamp),
)

#: Scoped to an index: a hit tells nothing of another tenant, and a delete knows where to look for other references.
embedding_cache = Table(
    "embedding_cache",
    metadata,
    Column("index_id", sa.BigInteger, ForeignKey("ragindex.indexes.id", ondelete="CASCADE"), primary_key=True),
    Column("key", BYTEA, primary_key=True),
    Column("vector", BYTEA, nullable=False),  # float32, little endian
    Column("last_used_at", Timestamp, nullable=False, server_default=sa.func.now()),
    Index("embedding_cache_lru_idx", "last_used_at"),
)

#: Which documents' text a cached embedding was ever made from, in whatever version and revision: how a delete finds
#: what no other document's text stands behind.
embedding_uses = Table(
    "embedding_uses",
    metadata,
    Column("index_id", sa.BigInteger, primary_key=True),
    Column("key", BYTEA, primary_key=True),
    Column("document_id", sa.BigInteger, primary_key=True),
    sa.ForeignKeyConstraint(
        ["index_id", "key"],
        ["ragindex.embedding_cache.index_id", "ragindex.embedding_cache.key"],
        ondelete="CASCADE",
    ),
    Index("embedding_uses_document_idx", "document_id"),
)

#: Insert only: summed when read, so that no two writers meet.
usage = Table(
    "usage",
    metadata,
    _id(),
    _index_id(),
    Column("namespace", sa.Text, nullable=False),
    Column("stage", sa.Text, nullable=False),  # Embedding | Query | Generation
    Column("route", sa.Text, nullable=False),
    Column("price_version", sa.Text),
    Column("input_tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("cost_micro_usd", sa.BigInteger),
    _now("created_at"),
    Index("usage_latest_idx", "index_id", "created_at"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    _index_id(),
    Column("namespace", sa.Text, nullable=False),
    _now("created_at"),
)
conversation_turns = Table(
    "conversation_turns",
    metadata,
    Column(
        "conversation_id",
        UUID(as_uuid=False),
        ForeignKey("ragindex.conversations.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", sa.Integer, primary_key=True),
    Column("run_id", UUID(as_uuid=False), nullable=False),
    Column("question", sa.Text, nullable=False),
    Column("answer", sa.Text, nullable=False),
    Column("document_ids", ARRAY(sa.BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
    _now("created_at"),
)
