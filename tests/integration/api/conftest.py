"""A handbook of three documents behind a running service."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx2
import psycopg
import pytest
from psycopg import sql
from tests.integration.api.library import Library, Service, serve

from ragindex_core.testing.generator import ScriptedGenerator
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.indexes import IndexRow

LEAVE = "Annual leave\n\nEvery employee has thirty days of annual leave a year.\n\nLeave is asked for in writing."
EXPENSES = "Expenses\n\nTravel expenses are paid back within two weeks.\n\nReceipts go to the accounting office."
SECURITY = "Security\n\nError E-4012 means that the badge has expired.\n\nA new badge is printed at the reception."


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def handbook(library: Library) -> IndexRow:
    return fill(library)


def fill(library: Library) -> IndexRow:
    index = library.index()
    library.revision(index)
    library.document(index, "leave.txt", LEAVE, {"department": "hr", "year": 2024})
    library.document(index, "expenses.txt", EXPENSES, {"department": "finance", "year": 2023})
    library.document(index, "security.txt", SECURITY, {"department": "it", "year": 2024, "tags": ["badge", "door"]})
    return index


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator()


@pytest.fixture
def service(database_url: str, library: Library, generator: ScriptedGenerator) -> Iterator[Service]:
    service = serve(database_url, embedder=library.embedder, generator=generator)
    yield service
    service.stop()


@pytest.fixture
def api(service: Service) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=service.url, timeout=15) as client:
        yield client


@pytest.fixture(scope="module")
def reading(server_url: str, template: str) -> Iterator[httpx2.Client]:
    """The same handbook for all tests of a module that change nothing."""
    name = f"reading_{uuid.uuid4().hex[:12]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    url = f"{server_url}/{name}"
    database = Database(DatabaseSettings(url=url))
    library = Library(database)
    fill(library)
    service = serve(url, embedder=library.embedder)
    with httpx2.Client(base_url=service.url, timeout=15) as client:
        yield client
    service.stop()
    database.close()
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
