"""A run belongs to the one who lists, for as long as that takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import BinaryIO

import pytest
import sqlalchemy as sa
from tests.integration.engine.conftest import Engine

from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Fetched, Source, SourceObject
from ragindex_db import indexes, queue, runs, schema
from ragindex_db.indexes import IndexRow
from ragindex_worker import listing, sync
from ragindex_worker.listing import Lister, list_once
from ragindex_worker.steps import Steps


class Slow:
    """A source in whose listing so much time goes by that the lease of its run has nearly run out at each object."""

    def __init__(self, engine: Engine, source: Source) -> None:
        self._engine = engine
        self._source = source
        self.let_go = 0

    def list(self) -> Iterator[SourceObject]:
        for found in self._source.list():
            run = schema.sync_runs
            with self._engine.database.begin() as connection:
                nearly = sa.func.now() + timedelta(seconds=1)
                connection.execute(sa.update(run).where(run.c.state == "Running").values(lease_until=nearly))
            yield found
            with self._engine.database.begin() as connection:
                left = sa.select(sa.func.min(run.c.lease_until) - sa.func.now()).where(run.c.state == "Running")
                self.let_go += connection.execute(left).scalar_one() < timedelta(seconds=30)

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        return self._source.fetch(key, into, max_bytes)

    def sidecar(self, key: str) -> Mapping[str, object]:
        return self._source.sidecar(key)


def test_a_listing_that_finds_nothing_new_keeps_its_run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_LONGEST_SILENCE", 0.0)
    for n in range(3):
        engine.write(f"{n}.md", f"Number {n}.")
    engine.settle()
    opened: list[Slow] = []

    def open_source(index: IndexRow, source: SourceSpec) -> Source:
        if source.uploads is not None:
            return engine.open_source_or_uploads(index, source)
        opened.append(Slow(engine, engine.open_source(index, source)))
        return opened[-1]

    assert list_once(engine.database, open_source, Steps(), engine.row.id)
    assert [slow.let_go for slow in opened] == [0]
    run = engine.database.run(runs.latest, engine.row.id)[0]
    assert (run.trigger, run.state, run.sources["files"]["unchanged"]) == ("Scheduled", "Succeeded", 3)


def test_an_index_that_goes_before_its_run_is_asked_for_ends_the_listing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.settle()
    row = engine.row

    class Late(Lister):
        def next(self) -> bool | None:
            found = super().next()
            engine.database.run(indexes.remove, row.id)
            return found

    monkeypatch.setattr(listing, "Lister", Late)
    assert list_once(engine.database, engine.open_source, Steps(), row.id)


def test_nobody_is_asked_for_a_run_while_another_lists(engine: Engine) -> None:
    engine.reconcile()
    held = engine.database.run(runs.claim, queue.new_owner())
    assert list_once(engine.database, engine.open_source, Steps(), engine.row.id)
    assert [run.state for run in engine.database.run(runs.latest, engine.row.id)] == ["Running"]
    assert held is not None
