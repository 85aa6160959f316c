"""What an index is listed for, as its operator says it, and the ConfigMaps that it mirrors for workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("indexes", sa.Column("inputs", sa.Text(), nullable=True), schema="ragindex")
    op.create_table(
        "config_maps",
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("mirrored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"], ["ragindex.indexes.id"], name=op.f("config_maps_index_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("index_id", "source", name=op.f("config_maps_pkey")),
        schema="ragindex",
    )
    op.create_table(
        "config_map_entries",
        sa.Column("index_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("data", postgresql.BYTEA(), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id", "source"],
            ["ragindex.config_maps.index_id", "ragindex.config_maps.source"],
            name=op.f("config_map_entries_index_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("index_id", "source", "key", name=op.f("config_map_entries_pkey")),
        schema="ragindex",
    )
    # Read once a change, and small: not worth compressing.
    op.execute("ALTER TABLE ragindex.config_map_entries ALTER COLUMN data SET STORAGE EXTERNAL")
