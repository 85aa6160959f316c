"""Two operators of one installation: one leads, and one that was stopped and learns too late that it leads no more
changes nothing that lasts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from tests.kube.harness.api import Api
from tests.kube.harness.audit import Write
from tests.kube.harness.control_plane import ControlPlane, client_of
from tests.kube.operator.hands import Hands
from tests.kube.operator.installation import (
    Installation,
    Process,
    path_of,
    rag_index,
    reason,
    up_to_date,
    wait_for,
)
from tests.kube.operator.scene import Scene, Theatre

from ragindex_db import schema
from ragindex_db.engine import Connection, Database

#: A Lease that runs out five times as fast as in life.
QUICK = {"duration": 6.0, "renew_every": 2.0, "margin": 1.0, "look_every": 1.0}
NOTES = {f"{n}.md": f"# Tower {n}\n\nIts keeper is keeper{n}." for n in range(3)}
SCHEDULED = {"schedule": "0 3 1 1 *", "timeZone": "Etc/UTC"}


@dataclass(frozen=True, slots=True)
class Stale:
    """The first operator stops between its last look at Lease and epoch and what it does then. ``gone``: the object is
    deleted before it goes on. ``refused``: nothing that it sends is taken."""

    point: str
    gone: bool = False
    refused: bool = True


#: The first of each kind make the short form. Kubernetes takes a write that nothing there contradicts: then the one who
#: leads takes away what it made.
STALE = (
    Stale("create listing job, before"),
    Stale("update ragindex.indexes, before"),  # within its transaction
    Stale("create embedding job, before", gone=True, refused=False),
    Stale("apply cronjobs, before", gone=True, refused=False),
    Stale("update status of ragindexes, before"),
    Stale("patch ragindexes: add finalizers, before"),
    Stale("create vector index, before"),
    Stale("Promote, before", gone=True),
)
SHORT = 3

_SIGNING = threading.Lock()


def identity(control_plane: ControlPlane, name: str) -> Path:
    """The kubeconfig of an admin whom the audit log knows by this name."""
    pair = control_plane.certificates.sign(name, f"/O=system:masters/CN={name}")
    return control_plane.write_kubeconfig(name, client_of(pair))


def written(control_plane: ControlPlane, name: str, since: datetime) -> list[Write]:
    """What somebody tried to write, but for the Lease."""
    return [write for write in control_plane.audit.writes(name, since) if "/leases" not in write.path]


def taken(writes: list[Write]) -> list[str]:
    return [f"{write.verb} {write.path}" for write in writes if write.status < 300]


def epoch(database: Database) -> int:
    def read(connection: Connection) -> int:
        return int(connection.execute(sa.select(schema.installations.c.epoch)).scalar_one())

    return database.run(read)


def resumed_too_late(theatre: Theatre, control_plane: ControlPlane, stale: Stale) -> str:
    scene = Scene(theatre)
    ours, theirs = (f"{which}-of-{scene.namespace}" for which in ("first", "second"))
    with _SIGNING:
        our_way, their_way = identity(control_plane, ours), identity(control_plane, theirs)
    try:
        scene.installation.write_notes("towers", NOTES)
        scene.create(rag_index("towers", scene.namespace, ingestion=SCHEDULED, deletionPolicy="Delete"))
        first = scene.operator(stale.point, signal.SIGSTOP, lease="one", times=QUICK, kubeconfig=our_way)
        wait_for(lambda: first.stopped, f"{stale}: the first at its point", 60)
        second = scene.operator(lease="one", times=QUICK, kubeconfig=their_way)
        took = wait_for(scene.settled, f"{stale}: the end of what the first began", 60)
        if stale.gone:
            theatre.api.delete(f"{scene.where}/towers")
            wait_for(scene.settled, f"{stale}: the end of the object", 60)
        before, holder = scene.everything(), epoch(scene.database)
        resumed = datetime.now(UTC)
        first.send(signal.SIGCONT)
        effect = stale.point.removesuffix("before")
        wait_for(lambda: {f"{effect}after", f"{effect}in vain"} & {*first.points}, f"{stale}: the write", 30)
        wait_for(lambda: "the lease is lost" in first.said(), f"{stale}: the first's notice of its loss", 30)
        wait_for(lambda: scene.settled() and scene.everything() == before, f"an end as before, {stale}", 30)
        assert epoch(scene.database) == holder, stale
        writes = written(control_plane, ours, resumed)
        assert bool(taken(writes)) != stale.refused, (stale, writes)

        second.kill()
        led = datetime.now(UTC)
        if stale.gone:
            scene.create(rag_index("towers", scene.namespace))
        else:
            theatre.api.patch(f"{scene.where}/towers", {"spec": {"ingestion": None, "suspend": True}})
            wait_for(lambda: not scene.settled(), "the edit", 30)
        wait_for(scene.settled, f"{stale}: what comes next, by the first", 60)
        assert epoch(scene.database) == holder + 1, stale
        assert taken(written(control_plane, ours, led)), stale
        return f"{stale.point}{', object gone' if stale.gone else ''}: {took:.0f} s, {_statuses(writes)}"
    finally:
        scene.close()


def _statuses(writes: list[Write]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in Counter(each.status for each in writes).items()) or "0"


def test_who_was_stopped_before_a_write_changes_nothing_that_lasts(
    own_control_plane: ControlPlane, theatre: Theatre
) -> None:
    tried = STALE if os.environ.get("RAGINDEX_KUBE") == "long" else STALE[:SHORT]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda stale: resumed_too_late(theatre, own_control_plane, stale), tried))
    print("taken over and filled, writes of the stale one: " + "; ".join(found))  # noqa: T201


def _leads(process: Process) -> bool:
    with contextlib.suppress(httpx2.ConnectError):  # it has hardly begun
        return "ragindex_operator_leading 1.0" in process.get("/metrics").text
    return False


@pytest.mark.long
def test_who_was_stopped_for_ninety_seconds_in_the_middle_of_twenty_objects_stands_by_again(
    own_control_plane: ControlPlane, api: Api, bare_installation: Installation
) -> None:
    here = bare_installation
    names = [f"towers-{number}" for number in range(20)]
    where, batch = path_of(here.namespace), f"/apis/batch/v1/namespaces/{here.namespace}"

    def operator(name: str) -> Process:
        return here.operator(kubeconfig=identity(own_control_plane, name), namespaces=json.dumps([here.namespace]))

    def with_schema() -> int:
        return sum(reason(item, "SchemaReady").startswith("True/") for item in api.get(where)["items"])

    def listed(kind: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in api.get(f"{batch}/{kind}")["items"])

    def tables() -> list[str]:
        return sorted(sa.inspect(here.database.engine).get_table_names("ragindex_data"))

    first = operator("first")
    wait_for(lambda: _leads(first), "the first to lead", 60, first)
    second = operator("second")
    hands = Hands(api, here.namespace, here.name, here.database, here.folder)
    try:
        for name in names:
            here.write_notes(name, NOTES)
            api.create(where, rag_index(name, here.namespace, ingestion=SCHEDULED, deletionPolicy="Delete"))
        wait_for(lambda: with_schema() >= 3, "the first objects", 60, first)
        first.popen.send_signal(signal.SIGSTOP)
        stopped, begun = time.monotonic(), with_schema()
        took_over = wait_for(lambda: _leads(second), "the second to lead", 45, second)
        wait_for(lambda: with_schema() == len(names), "all schemas", 60, second)
        in_time = time.monotonic() - stopped
        wait_for(lambda: all(map(up_to_date, api.get(where)["items"])), "all objects", 90, second)
        wait_for(lambda: time.monotonic() - stopped >= 90, "the ninety seconds", 90)
        there, holder = (listed("jobs"), listed("cronjobs"), tables()), epoch(here.database)
        assert len(there[1]) == len(names)

        resumed = datetime.now(UTC)
        first.popen.send_signal(signal.SIGCONT)
        wait_for(lambda: "the lease is lost" in first.said(), "the first's notice of its loss", 30, first)
        wait_for(lambda: not _leads(first), "the first to stand by", 60, first)
        assert all(map(up_to_date, api.get(where)["items"]))
        assert (listed("jobs"), listed("cronjobs"), tables()) == there
        assert epoch(here.database) == holder
        stale = written(own_control_plane, "first", resumed)
        assert not taken(stale), stale

        second.kill()
        took_back = wait_for(lambda: _leads(first), "the first to lead again", 45, first)
        api.patch(f"{where}/{names[0]}", {"spec": {"chunking": {"maxTokens": 100}}})
        api.until(f"{where}/{names[0]}", lambda item: up_to_date(item) and item["metadata"]["generation"] == 2, 60)
        print(  # noqa: T201
            f"stopped with {begun} of {len(names)} ready: led by the second after {took_over:.0f} s, all SchemaReady"
            f" after {in_time:.0f} s; writes of the one resumed: {_statuses(stale)}; led by it again {took_back:.0f} s"
            " after the other's death"
        )
    finally:
        hands.close()
