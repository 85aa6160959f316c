"""A ConfigMap is a source like any other, once the operator has written down what it read of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from tests.contracts.source import SourceContract, Writer
from tests.integration.api.library import Library

from ragindex_core.errors import Unavailable
from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Source
from ragindex_db import config_maps, indexes, schema
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_worker.config_maps import ConfigMapSource


@dataclass
class Operator:
    """Mirrors a ConfigMap anew after each change."""

    database: Database
    index: IndexRow
    entries: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, content: bytes) -> None:
        self.entries[key] = content
        self._mirror()

    def put_sidecar(self, key: str, content: bytes) -> None:
        self.put(f"{key}.metadata.json", content)

    def remove(self, key: str) -> None:
        del self.entries[key]
        self._mirror()

    def _mirror(self) -> None:
        version = hashlib.sha256(repr(sorted(self.entries.items())).encode()).hexdigest()
        self.mirror(version)

    def mirror(self, version: str | None, name: str = "hr-notes", message: str | None = None) -> bool:
        run = self.database.run
        return run(config_maps.mirror, self.index.id, "notes", name, version, self.entries, message)


def source_spec(**more: Any) -> SourceSpec:
    return SourceSpec.model_validate({"name": "notes", "configMap": {"name": "hr-notes"}, **more})


@pytest.fixture
def index(database: Database) -> IndexRow:
    return Library(database).index(namespace="hr")


@pytest.fixture
def operator(database: Database, index: IndexRow) -> Operator:
    return Operator(database, index)


class TestConfigMapSource(SourceContract):
    @pytest.fixture
    def writer(self, operator: Operator) -> Writer:
        return operator

    @pytest.fixture
    def source(self, operator: Operator) -> Source:
        return ConfigMapSource(operator.database, operator.index, source_spec())


def keys(operator: Operator, **more: Any) -> list[str]:
    source = ConfigMapSource(operator.database, operator.index, source_spec(**more))
    return [found.key for found in source.list()]


def test_globs_choose_among_the_keys(operator: Operator) -> None:
    for key in ("a.md", "b.md", "c.txt"):
        operator.put(key, b"text")
    assert keys(operator, include=["*.md"], exclude=["b*"]) == ["a.md"]


def test_one_that_does_not_exist_is_trouble_that_names_it(operator: Operator) -> None:
    operator.put("a.md", b"text")
    operator.entries.clear()
    assert operator.mirror(None)
    with pytest.raises(Unavailable, match="ConfigMap hr-notes in namespace hr: it does not exist"):
        keys(operator)
    operator.mirror(None, message="the operator may not read it")
    with pytest.raises(Unavailable, match="the operator may not read it"):
        keys(operator)


def test_one_that_was_not_read_yet_is_trouble_and_no_empty_listing(operator: Operator) -> None:
    with pytest.raises(Unavailable, match="has not read it yet"):
        keys(operator)
    operator.put("a.md", b"text")
    operator.mirror("1", name="another")
    with pytest.raises(Unavailable, match="has not read it yet"):
        keys(operator)


def test_what_is_mirrored_already_is_left_alone(operator: Operator, index: IndexRow) -> None:
    operator.entries = {"a.md": b"text"}
    assert operator.mirror("7")
    operator.entries = {"b.md": b"never read: the version is the same"}
    assert not operator.mirror("7")
    assert keys(operator) == ["a.md"]
    assert operator.database.run(config_maps.versions, index.id) == {"notes": "7"}


def test_entries_are_replaced_all_together(operator: Operator) -> None:
    operator.entries = {"a.md": b"one", "b.md": b"two"}
    operator.mirror("1")
    operator.entries = {"b.md": b"three", "c.md": b"four"}
    operator.mirror("2")
    assert keys(operator) == ["b.md", "c.md"]


def test_a_source_that_left_the_spec_is_forgotten_with_its_bytes(operator: Operator, index: IndexRow) -> None:
    operator.put("a.md", b"text")
    run = operator.database.run
    run(config_maps.mirror, index.id, "others", "more-notes", "1", {"z.md": b"text"})
    run(config_maps.forget, index.id, ["others"])
    assert run(config_maps.versions, index.id) == {"others": "1"}
    assert rows(operator.database, schema.config_map_entries) == 1


def test_an_index_takes_its_mirrors_with_it(operator: Operator, index: IndexRow) -> None:
    operator.put("a.md", b"text")
    operator.database.run(indexes.remove, index.id)
    assert rows(operator.database, schema.config_maps) == rows(operator.database, schema.config_map_entries) == 0


def test_nothing_is_written_for_an_index_that_is_gone(operator: Operator, index: IndexRow) -> None:
    operator.database.run(indexes.remove, index.id)
    assert not operator.mirror("1")


def rows(database: Database, table: sa.Table) -> int:
    with database.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
