"""The catalogue as it was first released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSequence

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(CreateSequence(sa.Sequence("change_numbers", schema="ragindex", data_type=sa.BigInteger())))
    op.create_table(
        "installations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("installations_pkey")),
        schema="ragindex",
    )
    op.create_table(
        "provider_budgets",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("tokens_per_minute", sa.BigInteger(), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.Float(precision=53), nullable=False),
        sa.Column("requests", sa.Float(precision=53), nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("throttled_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "model", name=op.f("provider_budgets_pkey")),
        schema="ragindex",
    )
    op.create_table(
        "indexes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("installation_id", sa.Text(), nullable=False),
        sa.Column("uid", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column(
            "object_metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "status", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("knowledge_base_id", sa.Text(), nullable=False),
        sa.Column("base_path", sa.Text(), nullable=True),
        sa.Column("serving_revision_id", sa.BigInteger(), nullable=True),
        sa.Column("held_revision_key", sa.Text(), nullable=True),
        sa.Column("suspended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("retained_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "change", sa.BigInteger(), server_default=sa.text("nextval('ragindex.change_numbers')"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["installation_id"], ["ragindex.installations.id"], name=op.f("indexes_installation_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("indexes_pkey")),
        sa.UniqueConstraint("uid", name=op.f("indexes_uid_key")),
        schema="ragindex",
    )
    op.create_index(
        "indexes_live_name_idx",
        "indexes",
        ["installation_id", "namespace", "name"],
        unique=True,
        schema="ragindex",
        postgresql_where=sa.text("retained_at IS NULL"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("conversations_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("conversations_pkey")),
        schema="ragindex",
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("source_version", sa.Text(), nullable=False),
        sa.Column("sidecar_version", sa.Text(), nullable=True),
        sa.Column(
            "source_metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "parser_metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("access_groups", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("upload_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "change", sa.BigInteger(), server_default=sa.text("nextval('ragindex.change_numbers')"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("documents_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("documents_pkey")),
        schema="ragindex",
    )
    op.create_index("documents_change_idx", "documents", ["index_id", "change"], unique=False, schema="ragindex")
    op.create_index(
        "documents_live_key_idx",
        "documents",
        ["index_id", "source", "key"],
        unique=True,
        schema="ragindex",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "embedding_cache",
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("key", postgresql.BYTEA(), nullable=False),
        sa.Column("vector", postgresql.BYTEA(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("embedding_cache_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("index_id", "key", name=op.f("embedding_cache_pkey")),
        schema="ragindex",
    )
    op.create_index("embedding_cache_lru_idx", "embedding_cache", ["last_used_at"], unique=False, schema="ragindex")
    op.create_table(
        "query_runs",
        sa.Column("id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column(
            "document_ids", postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'::bigint[]"), nullable=False
        ),
        sa.Column("milliseconds", sa.Float(precision=53), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("query_runs_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("query_runs_pkey")),
        schema="ragindex",
    )
    op.create_index("query_runs_latest_idx", "query_runs", ["index_id", "created_at"], unique=False, schema="ragindex")
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("requests_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("requests_pkey")),
        sa.UniqueConstraint("index_id", "name", "value", name=op.f("requests_index_id_name_value_key")),
        schema="ragindex",
    )
    op.create_index(
        "requests_open_idx",
        "requests",
        ["index_id"],
        unique=False,
        schema="ragindex",
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("projection", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("analyser_version", sa.Integer(), nullable=False),
        sa.Column("tables_ready", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("embedding_allowed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("approved", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("effective_max_tokens", sa.Integer(), nullable=True),
        sa.Column("estimated_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated_cost_micro_usd", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('Building', 'Active', 'Retained', 'Dropping', 'Dropped')", name=op.f("revisions_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("revisions_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("revisions_pkey")),
        sa.UniqueConstraint("index_id", "number", name=op.f("revisions_index_id_number_key")),
        schema="ragindex",
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="Pending", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column(
            "sources", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "accepted_sources", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False
        ),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_token", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('Pending', 'Running', 'Succeeded', 'Failed')", name=op.f("sync_runs_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("sync_runs_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("sync_runs_pkey")),
        schema="ragindex",
    )
    op.create_index("sync_runs_latest_idx", "sync_runs", ["index_id", "id"], unique=False, schema="ragindex")
    op.create_index(
        "sync_runs_one_at_a_time_idx",
        "sync_runs",
        ["index_id"],
        unique=True,
        schema="ragindex",
        postgresql_where=sa.text("state IN ('Pending', 'Running')"),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("document_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("uploads_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("uploads_pkey")),
        schema="ragindex",
    )
    op.create_index(
        "uploads_idempotency_idx",
        "uploads",
        ["index_id", "idempotency_key"],
        unique=True,
        schema="ragindex",
        postgresql_where=sa.text("idempotency_key IS NOT NULL AND completed_at IS NOT NULL"),
    )
    op.create_table(
        "usage",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("usage_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("usage_pkey")),
        schema="ragindex",
    )
    op.create_index("usage_latest_idx", "usage", ["index_id", "created_at"], unique=False, schema="ragindex")
    op.create_table(
        "contents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("text_sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["ragindex.documents.id"], name=op.f("contents_document_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("contents_pkey")),
        sa.UniqueConstraint(
            "document_id", "version", "text_sha256", name=op.f("contents_document_id_version_text_sha256_key")
        ),
        schema="ragindex",
    )
    op.create_table(
        "conversation_turns",
        sa.Column("conversation_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column(
            "document_ids", postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'::bigint[]"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["ragindex.conversations.id"],
            name=op.f("conversation_turns_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "number", name=op.f("conversation_turns_pkey")),
        schema="ragindex",
    )
    op.create_table(
        "document_metadata",
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("is_list", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("text_value", sa.Text(collation="C"), nullable=True),
        sa.Column("number_value", sa.Float(precision=53), nullable=True),
        sa.Column("boolean_value", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["ragindex.documents.id"],
            name=op.f("document_metadata_document_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("document_metadata_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "key", "position", name=op.f("document_metadata_pkey")),
        schema="ragindex",
    )
    op.create_index(
        "document_metadata_boolean_idx",
        "document_metadata",
        ["index_id", "key", "boolean_value"],
        unique=False,
        schema="ragindex",
        postgresql_where=sa.text("boolean_value IS NOT NULL"),
    )
    op.create_index(
        "document_metadata_number_idx",
        "document_metadata",
        ["index_id", "key", "number_value"],
        unique=False,
        schema="ragindex",
        postgresql_where=sa.text("number_value IS NOT NULL"),
    )
    op.create_index(
        "document_metadata_text_idx",
        "document_metadata",
        ["index_id", "key", sa.literal_column("left(text_value, 200)")],
        unique=False,
        schema="ragindex",
        postgresql_where=sa.text("text_value IS NOT NULL"),
    )
    op.create_table(
        "embedding_uses",
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("key", postgresql.BYTEA(), nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id", "key"],
            ["ragindex.embedding_cache.index_id", "ragindex.embedding_cache.key"],
            name=op.f("embedding_uses_index_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("index_id", "key", "document_id", name=op.f("embedding_uses_pkey")),
        schema="ragindex",
    )
    op.create_index("embedding_uses_document_idx", "embedding_uses", ["document_id"], unique=False, schema="ragindex")
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", postgresql.BYTEA(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["ragindex.uploads.id"], name=op.f("upload_parts_upload_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("upload_parts_pkey")),
        schema="ragindex",
    )
    op.create_table(
        "revision_documents",
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="Pending", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_token", sa.UUID(as_uuid=False), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("indexed_version", sa.Text(), nullable=True),
        sa.Column("content_id", sa.BigInteger(), nullable=True),
        sa.Column("chunks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("parser", sa.Text(), nullable=True),
        sa.Column("layout", sa.Integer(), nullable=True),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "change", sa.BigInteger(), server_default=sa.text("nextval('ragindex.change_numbers')"), nullable=False
        ),
        sa.CheckConstraint(
            "state IN ('Pending', 'Processing', 'Waiting', 'Indexed', 'Failed', 'Deleting')",
            name=op.f("revision_documents_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["content_id"], ["ragindex.contents.id"], name=op.f("revision_documents_content_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["ragindex.documents.id"],
            name=op.f("revision_documents_document_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("revision_documents_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["ragindex.revisions.id"],
            name=op.f("revision_documents_revision_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("revision_id", "document_id", name=op.f("revision_documents_pkey")),
        schema="ragindex",
    )
    op.create_index(
        "revision_documents_change_idx", "revision_documents", ["index_id", "change"], unique=False, schema="ragindex"
    )
    op.create_index(
        "revision_documents_content_idx", "revision_documents", ["content_id"], unique=False, schema="ragindex"
    )
    op.create_index(
        "revision_documents_document_idx", "revision_documents", ["document_id"], unique=False, schema="ragindex"
    )
    op.create_index(
        "revision_documents_queue_idx",
        "revision_documents",
        ["revision_id", "next_attempt_at"],
        unique=False,
        schema="ragindex",
        postgresql_where=sa.text("state IN ('Pending', 'Processing')"),
    )
    # Compressing what is mostly compressed already costs seconds a file.
    op.execute("ALTER TABLE ragindex.upload_parts ALTER COLUMN data SET STORAGE EXTERNAL")
