"""Many objects applied at once, at rest, found again by a new operator, and deleted at once."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psycopg
import sqlalchemy as sa
from tests.kube.harness.api import Api, Object
from tests.kube.harness.audit import AuditLog, Write
from tests.kube.harness.control_plane import ControlPlane
from tests.kube.operator.installation import (
    Installation,
    Process,
    path_of,
    rag_index,
    reason,
    up_to_date,
    wait_for,
)

from ragindex_db import indexes, schema, signals
from ragindex_db.schema import DATA_SCHEMA

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
OBJECTS = 500 if LONG else 25
IDLE_SECONDS = 600 if LONG else 15
SETTLED_SECONDS = 3  # after so long without a write all is told
OF_THE_OPERATOR = ("ragindex-operator%", "ragindex-signals")  # how its database sessions call themselves


def test_many_objects_are_served_rest_are_found_again_and_go(
    api: Api, own_control_plane: ControlPlane, bare_installation: Installation
) -> None:
    crowd = Crowd(api, own_control_plane.audit, bare_installation)
    operator = bare_installation.operator()
    wait_for(lambda: _metric(operator, "leading") == 1, "the Lease", 60, operator)

    with _most_sessions(bare_installation.database_url) as most_sessions:
        crowd.apply()
        served = wait_for(lambda: crowd.is_served(operator), "tables for all", 120, operator)
    assert most_sessions() <= 10
    crowd.fill(operator)
    peak = _peak_mib(operator)
    assert peak < 256

    began, looks = datetime.now(UTC), _metric(operator, "reconcile_seconds_count")
    crowd.ask_for_looks()
    time.sleep(IDLE_SECONDS)  # a span in which nothing happens
    assert _metric(operator, "reconcile_seconds_count") >= looks + OBJECTS
    writes = crowd.writes(began)
    assert {write.path for write in writes if not _of_lease(write)} == set()
    assert any(map(_of_lease, writes)), "the audit log shows what is written"

    operator.stop()
    relations, jobs, began = crowd.relations(), crowd.jobs(), datetime.now(UTC)
    successor = bare_installation.operator()
    with _most_sessions(bare_installation.database_url) as sessions_at_start:
        found_again = wait_for(lambda: _caught_up(successor), "all looked at again", 60, successor)
    assert [write for write in crowd.writes(began) if not _of_lease(write)] == []
    assert (crowd.relations(), crowd.jobs()) == (relations, jobs)
    assert sessions_at_start() <= 10

    kept = crowd.kept_when_deleted()
    gone = crowd.delete()
    assert crowd.tables() == kept
    assert crowd.jobs() == set()
    assert max(peak, _peak_mib(successor)) < 256
    print(  # noqa: T201
        f"\n{OBJECTS} objects: tables for all after {served:.1f} s, at rest {len(writes)} writes in {IDLE_SECONDS} s, "
        f"found again after {found_again:.1f} s, gone after {gone:.1f} s; at most {most_sessions()} sessions, "
        f"{peak:.0f} MiB (the successor {_peak_mib(successor):.0f} MiB)"
    )


@dataclass(frozen=True)
class Crowd:
    """Every second one keeps its data when it is deleted, every fifth has a schedule."""

    api: Api
    audit: AuditLog
    installation: Installation

    def apply(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._apply_one, range(OBJECTS)))

    def _apply_one(self, number: int) -> None:
        namespace = self.installation.namespace
        yearly = {"schedule": "0 3 1 1 *", "timeZone": "Etc/UTC"}
        body = rag_index(
            f"many-{number:03d}",
            namespace,
            sources=[{"name": "uploads", "uploads": {}}],
            deletionPolicy="Delete" if number % 2 else "Retain",
            ingestion={} if number % 5 else yearly,
        )
        self.api.create(path_of(namespace), body)

    def items(self) -> list[Object]:
        found: list[Object] = self.api.get(path_of(self.installation.namespace))["items"]
        return found

    def count(self, holds: Callable[[Object], object]) -> int:
        return sum(bool(holds(item)) for item in self.items())

    def is_served(self, operator: Process) -> bool:
        """The operator tells at once what it then writes; to list all is dear, and done when that may be the end."""
        return _telling(operator, "SchemaReady", "True") == OBJECTS and self.count(_has_tables) == OBJECTS

    def fill(self, operator: Process) -> None:
        """One worker does what the pods would, of which each then ends well: there is no node."""
        worker = self.installation.worker()
        wait_for(lambda: _telling(operator, "Ingested", "True") == OBJECTS, "all filled", 600, worker)
        worker.stop()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._end_pod, self._list("/api/v1", "pods")))
        wait_for(lambda: not self._writes_within(SETTLED_SECONDS) and self._ends_are_noted(), "rest", 300, operator)
        assert self.count(up_to_date) == OBJECTS

    def _end_pod(self, pod: Object) -> None:
        where = f"/api/v1/namespaces/{self.installation.namespace}/pods/{pod['metadata']['name']}/status"
        self.api.patch(where, {"status": {"phase": "Succeeded"}})

    def _ends_are_noted(self) -> bool:
        return all("ttlSecondsAfterFinished" in job["spec"] for job in self._list("/apis/batch/v1", "jobs"))

    def _writes_within(self, seconds: float) -> bool:
        began = datetime.now(UTC)
        time.sleep(seconds)
        return not all(map(_of_lease, self.writes(began)))

    def ask_for_looks(self) -> None:
        """As somebody who signals that each has changed, though none has."""
        database = self.installation.database
        for row in database.run(indexes.list_live, self.installation.name):
            database.run(signals.send, f"index:{row.id}")

    def delete(self) -> float:
        """One by one, as fast as it goes: how long after the last the last was gone."""
        where = path_of(self.installation.namespace)
        names = [item["metadata"]["name"] for item in self.items()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self.api.delete(f"{where}/{name}"), names))
        return wait_for(lambda: not self._any(), "all gone", 60)

    def _any(self) -> bool:
        return bool(self.api.get(path_of(self.installation.namespace), limit=1)["items"])

    def jobs(self) -> set[str]:
        """By uid, CronJobs too."""
        found = [*self._list("/apis/batch/v1", "jobs"), *self._list("/apis/batch/v1", "cronjobs")]
        return {item["metadata"]["uid"] for item in found}

    def _list(self, group: str, plural: str) -> list[Object]:
        found: list[Object] = self.api.get(f"{group}/namespaces/{self.installation.namespace}/{plural}")["items"]
        return found

    def writes(self, since: datetime) -> list[Write]:
        """Of the operator to the API server, refused ones too."""
        return [write for write in self.audit.writes(since=since) if self._is_ours(write)]

    def _is_ours(self, write: Write) -> bool:
        return write.agent == "ragindex-operator" and f"/namespaces/{self.installation.namespace}/" in write.path

    # The database

    def relations(self) -> set[tuple[object, ...]]:
        """Whatever is made, dropped or written anew changes them."""
        statement = sa.text(
            "SELECT c.oid, c.relname, c.relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('ragindex', 'ragindex_data')"
        )
        with self.installation.database.begin() as connection:
            return {tuple(row) for row in connection.execute(statement)}

    def tables(self) -> set[str]:
        with self.installation.database.begin() as connection:
            return set(sa.inspect(connection).get_table_names(schema=DATA_SCHEMA))

    def kept_when_deleted(self) -> set[str]:
        """The tables of those that are to be retained."""
        of_an_index = schema.revisions.c.index_id == schema.indexes.c.id
        retained = sa.select(schema.revisions.c.id).join(schema.indexes, of_an_index)
        retained = retained.where(schema.indexes.c.spec["deletionPolicy"].as_string() == "Retain")
        with self.installation.database.begin() as connection:
            numbers = {str(number) for number in connection.execute(retained).scalars()}
        assert len(numbers) == (OBJECTS + 1) // 2
        return {table for table in self.tables() if table.rpartition("_")[2] in numbers}


def _has_tables(item: Object) -> bool:
    return reason(item, "SchemaReady") == "True/TablesReady"


def _of_lease(write: Write) -> bool:
    return "/leases/" in write.path


def _caught_up(operator: Process) -> bool:
    """Every object was looked at by this very process, and none waits."""
    return _telling(operator, "Ready", "True") == OBJECTS and _metric(operator, "queue_depth") == 0


def _telling(operator: Process, type_: str, status: str) -> float:
    """How many objects this operator has told so of."""
    return _metric(operator, f'objects{{status="{status}",type="{type_}"}}')


def _metric(operator: Process, name: str) -> float:
    """Not a number while there is none to read."""
    try:
        exposition = operator.get("/metrics").text
    except httpx2.HTTPError:
        return math.nan
    found = re.search(rf"^ragindex_operator_{re.escape(name)} (\S+)$", exposition, re.MULTILINE)
    return float(found[1]) if found is not None else math.nan


def _peak_mib(process: Process) -> float:
    """What the kernel saw it hold at most."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


@contextmanager
def _most_sessions(database_url: str) -> Iterator[Callable[[], int]]:
    """How many the operator had at once, looked at ten times a second."""
    seen: list[int] = [0]
    over = threading.Event()

    def look() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not over.wait(0.1):
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE ANY (%s)",
                    [list(OF_THE_OPERATOR)],
                ).fetchone()
                assert row is not None
                seen.append(row[0])

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield lambda: max(seen)
        finally:
            over.set()
            looking.result()
