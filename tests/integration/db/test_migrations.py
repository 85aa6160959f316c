"""The catalogue comes to head from nothing, from twice at once and beside traffic, and says the same as its
description."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from tests.integration.api.library import Library

from ragindex_core.object.spec import RetrievalMode
from ragindex_core.ports import InputType
from ragindex_db import documents, indexes, queue, schema, search
from ragindex_db import migrate as migrations
from ragindex_db.engine import Connection, Database, DatabaseSettings


def previous() -> str:
    """The version before head."""
    scripts = migrations.scripts()
    head = scripts.get_revision(scripts.get_current_head() or "base")
    return str(head.down_revision or "base")


def bring_to(database: Database, version: str) -> None:
    migrations.bootstrap(database)
    if version != "base":
        with database.begin() as connection:
            command.upgrade(migrations.config(connection), version)


def test_an_empty_database_comes_to_head(empty_database_url: str) -> None:
    database = Database(DatabaseSettings(url=empty_database_url))
    migrations.bootstrap(database)
    assert database.run(migrations.current_version) is None
    migrations.migrate(database)
    assert database.run(migrations.current_version) == migrations.newest_version()
    database.close()


@pytest.mark.parametrize("version", sorted({"nothing", "base", previous()}))
def test_two_at_once_do_it_once(empty_database_url: str, version: str) -> None:
    databases = [Database(DatabaseSettings(url=empty_database_url)) for _ in range(2)]
    both = threading.Barrier(2)
    if version != "nothing":
        bring_to(databases[0], version)
    applied = Applied(databases)

    def upgrade(database: Database) -> str | None:
        both.wait()
        migrations.bootstrap(database)
        migrations.migrate(database)
        return database.run(migrations.current_version)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(upgrade, databases)) == [migrations.newest_version()] * 2
    assert applied.by == [applied.by[0]] * len(applied.by), "one of them did it all"
    for database in databases:
        database.close()


class Applied:
    """Which of several databases wrote down that a migration was done."""

    def __init__(self, databases: list[Database]) -> None:
        self.by: list[int] = []
        for number, database in enumerate(databases):
            sa.event.listen(database.engine, "after_cursor_execute", self._listener(number))

    def _listener(self, number: int) -> Callable[..., None]:
        def executed(*arguments: Any) -> None:
            if "ragindex.schema_version" in arguments[2] and arguments[2].startswith(("INSERT", "UPDATE")):
                self.by.append(number)

        return executed


def test_migrations_and_description_agree(database: Database) -> None:
    with database.begin() as connection:
        command.check(migrations.config(connection))


#: A migration may hold nobody up for more than 50 ms; the rest is for a machine that has much else to do.
_LONGEST_WAIT = "600ms"


class Traffic:
    """Reads and writes the catalogue and searches, as fast as it can. A statement that has to wait too long for a lock
    fails, and with it the test."""

    def __init__(self, database: Database, library: Library) -> None:
        self._database = database
        self._index = library.index()
        self._tables = library.revision(self._index).tables
        library.document(self._index, "a.txt", "Every tower has a keeper.")
        self._vector = library.embedder.embed(["keeper"], InputType.QUERY).vectors[0]
        self._stopping = threading.Event()
        self.rounds = {kind.__name__: 0 for kind in (self._read, self._write, self._search)}
        self.longest = 0.0

    @contextmanager
    def flowing(self) -> Iterator[None]:
        with ThreadPoolExecutor(3) as pool:
            flows = [pool.submit(self._flow, kind) for kind in (self._read, self._write, self._search)]
            self.await_rounds(3)
            try:
                yield
            finally:
                self._stopping.set()
                for flow in flows:
                    flow.result()

    def await_rounds(self, more: int) -> None:
        """That many more of every kind."""
        wanted = {kind: done + more for kind, done in self.rounds.items()}
        until = time.monotonic() + 60
        while any(self.rounds[kind] < wanted[kind] for kind in wanted) and not self._stopping.wait(0.01):
            assert time.monotonic() < until, "the traffic stands still"

    def _flow(self, kind: Callable[[Connection], None]) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                with self._database.begin() as connection:
                    connection.execute(sa.select(sa.func.set_config("lock_timeout", _LONGEST_WAIT, True)))
                    kind(connection)
                self.longest = max(self.longest, time.monotonic() - began)
                self.rounds[kind.__name__] += 1
        finally:
            self._stopping.set()

    def _read(self, connection: Connection) -> None:
        documents.page(connection, self._index.id, self._tables.revision_id)
        queue.next_due_seconds(connection)

    def _write(self, connection: Connection) -> None:
        indexes.write_status(connection, self._index.id, {"conditions": []})
        queue.rebuild(connection, self._tables.revision_id)
        document = schema.documents
        connection.execute(sa.update(document).values(change=schema.change_numbers.next_value()))

    def _search(self, connection: Connection) -> None:
        request = search.SearchRequest(
            index_id=self._index.id, tables=self._tables, mode=RetrievalMode.VECTOR, top_k=3, vector=self._vector
        )
        search.search(connection, request)


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database, Library(database))


ALTER = """
def upgrade():
    op.add_column("documents", sa.Column("one_more", sa.Text()), schema="ragindex")
    op.execute("ALTER TABLE ragindex.documents SET (fillfactor = 90)")
"""
INDEX = """
def upgrade():
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.drop_index("two_more", schema="ragindex", postgresql_concurrently=True, if_exists=True)
        op.create_index("two_more", "documents", ["size"], schema="ragindex", postgresql_concurrently=True)
"""


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """Two versions after head, which change tables that all traffic uses."""
    down = migrations.newest_version()
    for number, body in (("9998", ALTER), ("9999", INDEX)):
        head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision = {number!r}\ndown_revision = {down!r}\n"
        (tmp_path / f"{number}.py").write_text(head + body)
        down = number
    return tmp_path


def upgrade_to(later: Path) -> Callable[[Connection], None]:
    """As to the versions of the package, with those that come after them."""

    def migrating(connection: Connection) -> None:
        given = migrations.config(connection)
        released = Path(migrations.__file__).parent / "migrations" / "versions"
        given.set_main_option("path_separator", "newline")
        given.set_main_option("version_locations", f"{released}\n{later}")
        command.upgrade(given, "head")

    return migrating


def test_a_migration_beside_traffic_holds_nobody_up(database: Database, traffic: Traffic, later: Path) -> None:
    with traffic.flowing():
        before = traffic.longest
        migrations.giving_way(database, upgrade_to(later))
        traffic.await_rounds(5)
    assert database.run(migrations.current_version) == "9999"
    print(f"longest: {before * 1000:.0f} ms before, {traffic.longest * 1000:.0f} ms after")  # noqa: T201  with -s


def test_a_migration_that_is_kept_waiting_gives_way_to_all_others(
    database: Database, traffic: Traffic, later: Path
) -> None:
    with traffic.flowing(), ThreadPoolExecutor(1) as pool:
        with database.begin() as long_one:
            long_one.execute(sa.select(schema.documents.c.id))
            done = pool.submit(migrations.giving_way, database, upgrade_to(later))
            await_tries(database, 3)
            traffic.await_rounds(20)
            assert not done.done()
        done.result(60)
    assert database.run(migrations.current_version) == "9999"


def await_tries(database: Database, tries: int) -> None:
    """Until the migration was seen to wait for its lock so many times."""
    locks = sa.table("pg_locks", sa.column("granted"), sa.column("mode"))
    waiting = sa.select(sa.func.count()).where(~locks.c.granted, locks.c.mode == "AccessExclusiveLock")
    until, seen, before = time.monotonic() + 60, 0, False
    while seen < tries:
        with database.begin() as connection:
            now = connection.execute(waiting).scalar_one() > 0
        seen, before = seen + (now and not before), now
        assert time.monotonic() < until, "the migration does not try"
