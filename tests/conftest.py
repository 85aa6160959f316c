"""A real PostgreSQL with pgvector, and a fresh, migrated database for every test that asks for one.

The server is, in this order: the one that ``RAGINDEX_TEST_DATABASE_URL`` names, a container where Docker answers, else
the embedded one. Databases are copies of a template that was migrated once.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.migrate import bootstrap, migrate

_IMAGE = "pgvector/pgvector:pg17"


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL of a role that may make databases, without the name of one."""
    given = os.environ.get("RAGINDEX_TEST_DATABASE_URL")
    if given:
        yield given.rpartition("/")[0]
    elif _docker_answers():
        from testcontainers.community.postgres import PostgresContainer

        with PostgresContainer(_IMAGE, driver=None) as container:
            yield str(container.get_connection_url()).rpartition("/")[0]
    else:
        from ragindex_local.postgres import EmbeddedPostgres

        server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
        url = server.start().replace("postgresql+psycopg://", "postgresql://")
        yield url.rpartition("/")[0]
        server.stop()


def _docker_answers() -> bool:
    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    import docker

    try:
        client = docker.from_env(timeout=2)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    finally:
        client.close()


_CREATE = sql.SQL("CREATE DATABASE {name} TEMPLATE {template}")
_DROP = sql.SQL("DROP DATABASE {name} WITH (FORCE)")


def _run(url: str, statement: sql.SQL, name: str, template: str = "template1") -> None:
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(statement.format(name=sql.Identifier(name), template=sql.Identifier(template)))


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    name = f"template_{uuid.uuid4().hex[:8]}"
    _run(server_url, _CREATE, name)
    database = Database(DatabaseSettings(url=f"{server_url}/{name}"))
    bootstrap(database)
    migrate(database)
    database.close()
    return name


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database with nothing in it, for tests of migration itself."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _run(server_url, _CREATE, name)
    yield f"{server_url}/{name}"
    _run(server_url, _DROP, name)


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    _run(server_url, _CREATE, name, template)
    yield f"{server_url}/{name}"
    _run(server_url, _DROP, name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(DatabaseSettings(url=database_url, pool_size=8))
    yield database
    database.close()
