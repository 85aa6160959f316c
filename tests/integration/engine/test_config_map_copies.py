"""The copies of ConfigMaps in the catalogue: as the spec names them, and no others."""

from __future__ import annotations

import pytest
from tests.integration.engine.conftest import Engine

from ragindex_core.object.resource import RagIndex
from ragindex_db import config_maps
from ragindex_operator.capabilities import Capabilities
from ragindex_operator.outside import Original


class AnyConfigMap:
    """Each has one entry, which is its name."""

    def read(self, wanted: RagIndex, name: str) -> Original | None:
        return Original(f"of {name}", {"name.md": name.encode()})


@pytest.fixture
def copying(engine: Engine) -> Engine:
    engine.reconciler.originals = AnyConfigMap()
    engine.reconciler.capabilities = Capabilities(sources=frozenset({"directory", "uploads", "configMap"}))
    return engine


def of_config_map(source: str, name: str) -> dict[str, object]:
    return {"name": source, "configMap": {"name": name}}


def copies(engine: Engine) -> dict[str, str | None]:
    return engine.database.run(config_maps.versions, engine.row.id)


def test_a_copy_goes_with_its_source(copying: Engine) -> None:
    copying.edit(sources=[of_config_map("leave", "leave"), of_config_map("travel", "travel")])
    copying.reconcile()
    assert copies(copying) == {"leave": "of leave", "travel": "of travel"}
    copying.edit(sources=[of_config_map("journeys", "travel")])
    copying.reconcile()
    assert copies(copying) == {"journeys": "of travel"}
    assert copying.database.run(config_maps.entries, copying.row.id, "leave") == []


def test_no_copy_is_left_of_a_source_that_is_another_now(copying: Engine) -> None:
    copying.edit(sources=[of_config_map("files", "leave")])
    copying.reconcile()
    copying.edit(sources=[{"name": "files", "directory": {"path": "files"}}])
    copying.reconcile()
    assert copies(copying) == {}
