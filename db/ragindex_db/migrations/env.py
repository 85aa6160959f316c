"""Run by alembic: one migration at a time, and none that waits long for a lock while others serve traffic.

A migration changes one table that traffic uses, by what takes no time: a column with a constant default, a constraint
that is not validated, a setting. An index is made CONCURRENTLY in an autocommit block that sets lock_timeout to 0, for
it waits for all transactions and holds nobody up; what a broken attempt left of it is dropped there first.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from ragindex_db.schema import SCHEMA, metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="schema_version",
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
