"""Bring the catalogue to the version this code needs, or wait until someone else has."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.schema import CreateSchema

from ragindex_core.errors import Misconfigured
from ragindex_db.engine import Database
from ragindex_db.schema import DATA_SCHEMA, SCHEMA

OLDEST_SERVER = 150000
OLDEST_PGVECTOR = (0, 8, 0)
#: Any number will do, so long as it is ours and the same for all.
_MIGRATION_LOCK = 7_241_053_311


def bootstrap(database: Database) -> None:
    """What only a privileged role may do, once: the extension and the two schemas."""
    with database.begin() as connection:
        _check_server(connection)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        connection.execute(CreateSchema(DATA_SCHEMA, if_not_exists=True))
        _check_pgvector(connection)
    # Connections made before the extension existed do not know its types.
    database.engine.dispose()


def migrate(database: Database) -> None:
    """Upgrade to head. Of several processes one does it, the others wait for it and find nothing left to do."""
    with database.autocommit() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(_MIGRATION_LOCK)))
        try:
            with database.begin() as migrating:
                # Better to fail and be tried again than to queue all traffic behind a waiting ALTER TABLE.
                migrating.execute(sa.select(sa.func.set_config("lock_timeout", "4s", True)))
                command.upgrade(_config(migrating), "head")
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_MIGRATION_LOCK)))


def current_version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("schema_version", schema=SCHEMA):
        return None
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": SCHEMA}
    )
    return context.get_current_revision()


def newest_version() -> str | None:
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def wait_until_migrated(database: Database, pause: Callable[[], bool]) -> bool:
    """True once the catalogue is at the version this code needs; False when ``pause`` says to give up."""
    while database.run(current_version) != newest_version():
        if not pause():
            return False
    return True


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", "ragindex_db:migrations")
    config.attributes["connection"] = connection
    return config


def server_versions(connection: Connection) -> tuple[str, str | None]:
    """The versions of the server and of pgvector, as people write them."""
    server = connection.execute(sa.select(sa.func.current_setting("server_version"))).scalar_one()
    extension = connection.execute(
        sa.text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    ).scalar_one_or_none()
    return str(server).split(" ")[0], extension


def _check_server(connection: Connection) -> None:
    number = int(connection.execute(sa.select(sa.func.current_setting("server_version_num"))).scalar_one())
    if number < OLDEST_SERVER:
        raise Misconfigured(f"PostgreSQL 15 or newer is needed; this server is {number // 10000}")


def _check_pgvector(connection: Connection) -> None:
    version = server_versions(connection)[1] or "0"
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_PGVECTOR:
        oldest = ".".join(map(str, OLDEST_PGVECTOR))
        raise Misconfigured(
            f"pgvector {oldest} or newer is needed; this database has {version}: ALTER EXTENSION vector UPDATE"
        )
