"""Bring the catalogue to the version this code needs, or wait until someone else has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema

from ragindex_core.errors import Misconfigured, Unavailable
from ragindex_db.engine import Database, translated
from ragindex_db.schema import DATA_SCHEMA, SCHEMA
from ragindex_db.server import server

OLDEST_SERVER = 150000
OLDEST_PGVECTOR = (0, 8, 0)
#: Any number will do, so long as it is ours and the same for all.
_MIGRATION_LOCK = 7_241_053_311
#: For a lock, and so for whoever comes after.
_LONGEST_WAIT = "40ms"
_BETWEEN_TRIES = 0.2  # seconds, in which all who queued get their turn
_PATIENCE = 300.0
_LOCK_NOT_AVAILABLE = "55P03"


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
    """Upgrade to head, beside all traffic. Of several processes one does it, the others wait for it and find nothing
    left to do."""
    with _only_migrator(database):
        giving_way(database, lambda connection: command.upgrade(config(connection), "head"))


@contextmanager
def _only_migrator(database: Database) -> Iterator[None]:
    """Asked for again and again: a statement that waited would hold back an index that the other builds beside
    traffic, until one of the two is ended as a deadlock. The lock goes with its connection, however this ends."""
    with database.autocommit() as connection:
        connection.detach()
        while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_MIGRATION_LOCK))).scalar_one():
            time.sleep(_BETWEEN_TRIES)
        yield


def giving_way(database: Database, migrating: Callable[[Connection], None]) -> None:
    """Migrations that do not get a lock at once are broken off and tried again: all traffic queues behind a statement
    that waits for one. Each is a transaction of its own, so that what is done stays done."""
    give_up = time.monotonic() + _PATIENCE
    with translated(), database.engine.connect() as connection:
        try:
            while not _tried(connection, migrating):
                if time.monotonic() > give_up:
                    raise Unavailable("the catalogue cannot be migrated while a long transaction uses it: end that one")
                time.sleep(_BETWEEN_TRIES)
        finally:
            connection.invalidate()  # its settings are of no use to anybody else


def _tried(connection: Connection, migrating: Callable[[Connection], None]) -> bool:
    """False when somebody else had what it needed."""
    connection.execute(sa.select(sa.func.set_config("lock_timeout", _LONGEST_WAIT, False)))
    connection.commit()
    try:
        migrating(connection)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        connection.rollback()
        return False
    connection.commit()
    return True


def current_version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("schema_version", schema=SCHEMA):
        return None
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": SCHEMA}
    )
    return context.get_current_revision()


def newest_version() -> str | None:
    return scripts().get_current_head()


def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config(None))


def wait_until_migrated(database: Database, pause: Callable[[], bool]) -> bool:
    """True once the catalogue is at the version this code needs; False when ``pause`` says to give up."""
    while database.run(current_version) != newest_version():
        if not pause():
            return False
    return True


def config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", "ragindex_db:migrations")
    config.attributes["connection"] = connection
    return config


def _check_server(connection: Connection) -> None:
    number = int(connection.execute(sa.select(sa.func.current_setting("server_version_num"))).scalar_one())
    if number < OLDEST_SERVER:
        raise Misconfigured(f"PostgreSQL 15 or newer is needed; this server is {number // 10000}")


def _check_pgvector(connection: Connection) -> None:
    version = server(connection).pgvector or "0"
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_PGVECTOR:
        oldest = ".".join(map(str, OLDEST_PGVECTOR))
        raise Misconfigured(
            f"pgvector {oldest} or newer is needed; this database has {version}: ALTER EXTENSION vector UPDATE"
        )
