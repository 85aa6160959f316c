"""What happens twice, at once, or at the wrong time: runs beside runs, a delete beside ingestion, clocks that jump."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import sqlalchemy as sa
from tests.integration.engine.conftest import Embedders, Engine
from tests.integration.faults.intact import check_intact
from tests.integration.faults.world import eventually

from ragindex_core.object.sources import SourceSpec
from ragindex_core.ports import Fetched, Source, SourceObject
from ragindex_db import queue, requests, runs, schema
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_local.workforce import LocalWorkforce
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.sync import SyncRunner


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(database: Database, tmp_path: Path, clock: Clock) -> Iterator[Engine]:
    (tmp_path / "files").mkdir()
    (tmp_path / "scratch").mkdir()
    builds = Builds(lambda: None)
    fence = Fence.raised(database, "test", "me")
    reconciler = Reconciler(database, fence, LocalWorkforce(), builds, clock=clock)
    yield Engine(database, tmp_path, reconciler, Embedders(), tmp_path / "scratch", threading.Event())
    builds.close()


def fill(engine: Engine, documents: int, of: str = "tower") -> None:
    for n in range(documents):
        engine.write(f"{of}-{n:03}.md", f"# Number {n}\n\nThe keeper of {of} {n} is called keeper{n}.\n")


def catch_up(engine: Engine) -> None:
    """What is due: a run, the documents it found, and what follows from them."""
    engine.reconcile()
    engine.work_due()
    engine.reconcile()


def all_runs(engine: Engine) -> list[Any]:
    c = schema.sync_runs.c
    with engine.database.begin() as connection:
        columns = (c.id, c.state, c.requested_at, c.started_at, c.completed_at)
        return list(connection.execute(sa.select(*columns).order_by(c.id)).all())


def test_ten_syncs_at_once_are_one_run_and_one_that_follows(engine: Engine) -> None:
    fill(engine, 20)
    catch_up(engine)
    before = len(all_runs(engine))
    fill(engine, 20, "harbour")
    together, in_charge = threading.Barrier(10), threading.Lock()

    def ask_and_carry_out(n: int) -> int | None:
        together.wait(30)
        engine.database.run(requests.add, engine.row.id, "sync", f"number-{n}", "test")
        with in_charge:
            engine.reconcile()
        run = engine.database.run(runs.claim, queue.new_owner())
        if run is not None:
            SyncRunner(engine.database, engine.open_source_or_uploads, lambda: False).perform(run, engine.row)
        return None if run is None else run.id

    with ThreadPoolExecutor(10) as threads:
        asked = [threads.submit(ask_and_carry_out, n) for n in range(10)]
        carried_out = [run for run in (done.result(timeout=120) for done in asked) if run is not None]
    assert len(set(carried_out)) == len(carried_out) > 0, "no run was taken from whoever was at it"
    catch_up(engine)
    new = all_runs(engine)[before:]
    assert {run.state for run in new} == {"Succeeded"}
    assert all(former.completed_at <= later.started_at for former, later in pairwise(new)), "one after the other"
    assert not engine.database.run(requests.waiting, engine.row.id), "everybody was answered"
    assert len(new) <= 10
    check_intact(engine.database, engine.serving, 40)
    [embedder] = engine.embedders.opened.values()
    assert sum(len(texts) for texts, _ in embedder.calls) == 40, "nothing was embedded twice"


class Halting:
    """A folder as it was when its listing began, which takes until ``go_on``."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.listed, self.go_on = threading.Event(), threading.Event()

    def list(self) -> Iterator[SourceObject]:
        found = list(self._source.list())
        self.listed.set()
        assert self.go_on.wait(60)
        yield from found

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        return self._source.fetch(key, into, max_bytes)

    def sidecar(self, key: str) -> dict[str, object]:
        return dict(self._source.sidecar(key))


def test_of_two_that_carry_out_one_run_the_one_that_was_given_up_changes_nothing(engine: Engine) -> None:
    fill(engine, 3)
    catch_up(engine)
    engine.write("gone.md", "# Gone\n\nThis one is not there for long.\n")
    engine.ask("sync", "twice")
    engine.reconcile()
    halting: list[Halting] = []

    def slow(index: IndexRow, source: SourceSpec) -> Source:
        opened = engine.open_source_or_uploads(index, source)
        if source.uploads is not None:
            return opened
        halting.append(Halting(opened))
        return halting[0]

    run = engine.database.run(runs.claim, queue.new_owner())
    assert run is not None
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(SyncRunner(engine.database, slow, lambda: False).perform, run, engine.row)
        eventually("it has listed", lambda: halting and halting[0].listed.is_set())
        with engine.database.begin() as connection:
            connection.execute(sa.update(schema.sync_runs).values(lease_until=sa.func.now() - timedelta(seconds=1)))
        (engine.files / "gone.md").unlink()
        engine.write("tower-000.md", "# Number 0\n\nThe keeper of tower 0 has retired.\n")
        again = engine.database.run(runs.claim, queue.new_owner())
        assert again is not None
        assert again.id == run.id, "it is taken over"
        SyncRunner(engine.database, engine.open_source_or_uploads, lambda: False).perform(again, engine.row)
        written = known(engine)
        halting[0].go_on.set()
        late.result(timeout=60)
    assert known(engine) == written, "what an older listing says is not heard any more"
    [_, last] = all_runs(engine)
    assert last.state == "Succeeded"
    catch_up(engine)
    assert set(engine.documents()) == {"tower-000.md", "tower-001.md", "tower-002.md"}


def known(engine: Engine) -> set[tuple[str, str]]:
    d = schema.documents.c
    with engine.database.begin() as connection:
        there = sa.select(d.key, d.source_version).where(d.deleted_at.is_(None))
        return {(row[0], row[1]) for row in connection.execute(there)}


def test_an_index_deleted_under_its_worker_leaves_nothing_and_stops_no_worker(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    fill(engine, 120)
    engine.edit(deletionPolicy="Delete")
    engine.reconcile()
    worker = Worker(engine.database, engine.embedders, engine.open_source, WorkerSettings(scratch=engine.scratch))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        eventually("a run has listed", lambda: all_runs(engine)[-1].state == "Succeeded")
        engine.reconcile()
        worker.wake()
        eventually("ingestion is under way", lambda: count(engine, schema.revision_documents, "Indexed") > 8)
        tables = engine.serving.tables
        engine.document["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
        eventually("it is let go", lambda: (engine.reconcile(), engine.released)[1])
        assert left(engine) == []
        with engine.database.begin() as connection:
            inspector = sa.inspect(connection)
            assert [
                n for n in inspector.get_table_names(tables.chunk.schema) if n.endswith(f"_{tables.revision_id}")
            ] == []
        worker.wake()
        assert thread.is_alive()
    finally:
        worker.stop()
        thread.join(timeout=60)
    assert not thread.is_alive()
    assert left(engine) == [], "nothing was written afterwards"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def count(engine: Engine, table: sa.Table, state: str) -> int:
    with engine.database.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).where(table.c.state == state)).scalar_one()


#: What is not an index's: the catalogue's version, who is in charge, and what a model may be asked for.
_OF_NO_INDEX = {"alembic_version", "installations", "provider_budgets"}


def left(engine: Engine) -> list[str]:
    """Tables of the catalogue that hold a row still."""
    with engine.database.begin() as connection:
        tables = [table for table in schema.metadata.sorted_tables if table.name not in _OF_NO_INDEX]
        return [t.name for t in tables if connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one()]


@pytest.mark.parametrize("ahead", [timedelta(days=10), timedelta(days=-10)], ids=str)
def test_a_clock_that_goes_wrong_changes_nothing(engine: Engine, clock: Clock, ahead: timedelta) -> None:
    fill(engine, 4)
    engine.edit(ingestion={"schedule": "0 0 1 1 *", "timeZone": "Etc/UTC"})
    catch_up(engine)
    before = len(all_runs(engine))
    clock.ahead = ahead
    catch_up(engine)
    assert len(all_runs(engine)) == before, "what is due goes by the database's clock, as all dates do"
    engine.write("new.md", "# New\n\nThe keeper of tower 9 is new.\n")
    engine.ask("sync", "by hand")
    catch_up(engine)
    assert len(all_runs(engine)) == before + 1, "whoever asks is heard"
    assert engine.documents()["new.md"].state == "Indexed"
    assert engine.condition("Progressing") == ("False", "UpToDate")
    told = {moment(condition["lastTransitionTime"]) for condition in engine.row.status["conditions"]}
    assert max(told) - min(told) < timedelta(days=1)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
