"""The catalogue comes to head from nothing, from twice at once, and says the same as its description."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from alembic import command

from ragindex_db import migrate as migrations
from ragindex_db.engine import Database, DatabaseSettings


def test_an_empty_database_comes_to_head(empty_database_url: str) -> None:
    database = Database(DatabaseSettings(url=empty_database_url))
    migrations.bootstrap(database)
    assert database.run(migrations.current_version) is None
    migrations.migrate(database)
    assert database.run(migrations.current_version) == migrations.newest_version()
    database.close()


def test_two_at_once_do_it_once(empty_database_url: str) -> None:
    databases = [Database(DatabaseSettings(url=empty_database_url)) for _ in range(2)]

    def upgrade(database: Database) -> str | None:
        migrations.bootstrap(database)
        migrations.migrate(database)
        return database.run(migrations.current_version)

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(upgrade, databases)) == {migrations.newest_version()}
    for database in databases:
        database.close()


def test_migrations_and_description_agree(database: Database) -> None:
    with database.begin() as connection:
        command.check(migrations._config(connection))
