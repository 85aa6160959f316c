"""Pods that are killed while they list and embed, some of them by no fault of theirs: every document is there once."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.integration.faults.intact import check_intact
from tests.kube.harness.api import Api, Object
from tests.kube.harness.process_kubelet import ProcessKubelet
from tests.kube.operator.installation import Installation, Process, path_of, rag_index, reason, up_to_date, wait_for

from ragindex_db import indexes, revisions, schema, signals
from ragindex_db.engine import Database
from ragindex_db.revisions import RevisionRow
from ragindex_providers.testing.openai_server import Fault

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
CONFIG_MAPS, ENTRIES_OF_EACH, PODS, KILLS = (4, 500, 8, 7) if LONG else (1, 150, 4, 3)
DOCUMENTS = CONFIG_MAPS * ENTRIES_OF_EACH
#: Every third pod is killed as one that is evicted: the Job takes no notice of its end.
DISRUPTED = 3
#: So long does the model take for a document: else none would be in hand when a pod is killed.
THINKS = Fault(delay_seconds=0.15)


@pytest.fixture
def slow_model(installation: Installation) -> Iterator[None]:
    installation.models.always(THINKS)
    yield
    installation.models.always(None)


def write_documents(installation: Installation) -> list[Object]:
    """The sources that list them."""
    for part in range(CONFIG_MAPS):
        entries = {
            f"{part}-{n:04}.md": f"# Tower {part}-{n}\n\nThe keeper of tower {part}-{n} is called keeper{part}x{n}.\n"
            for n in range(ENTRIES_OF_EACH)
        }
        installation.write_notes(f"towers-{part}", entries)
    return [{"name": f"part-{part}", "configMap": {"name": f"towers-{part}"}} for part in range(CONFIG_MAPS)]


def counted(database: Database, *which: sa.ColumnElement[bool]) -> int:
    rd = schema.revision_documents
    with database.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(rd).where(*which)).scalar_one()


def in_hand(database: Database) -> int:
    rd = schema.revision_documents.c
    return counted(database, rd.state == "Processing", rd.lease_until > sa.func.now())


def indexed(database: Database) -> int:
    return counted(database, schema.revision_documents.c.state == "Indexed")


def leases_run_out(database: Database) -> None:
    """Nobody waits a minute and a half for what a dead pod had in hand."""
    rd, run = schema.revision_documents, schema.sync_runs
    past = {"lease_until": sa.func.now() - timedelta(days=1)}
    with database.begin() as connection:
        held = sa.update(rd).where(rd.c.state == "Processing")
        connection.execute(held.values(**past, next_attempt_at=sa.func.now()))
        connection.execute(sa.update(run).where(run.c.state == "Running").values(**past))
        signals.send(connection, "worker")


def serving(installation: Installation) -> RevisionRow:
    [row] = installation.database.run(indexes.list_live, installation.name)
    assert row.serving_revision_id is not None
    return installation.database.run(revisions.get, row.serving_revision_id)


def jobs(api: Api, installation: Installation) -> list[Object]:
    found: list[Object] = api.get(f"/apis/batch/v1/namespaces/{installation.namespace}/jobs")["items"]
    return found


def ended(job: Object) -> bool:
    return any(
        c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in job["status"].get("conditions", [])
    )


def test_pods_that_are_killed_lose_and_double_nothing(
    api: Api, installation: Installation, node: ProcessKubelet, slow_model: None
) -> None:
    namespace, database, chance = installation.namespace, installation.database, random.Random(7)
    sources = write_documents(installation)
    operator = installation.operator()
    began = time.monotonic()
    api.create(path_of(namespace), rag_index("towers", namespace, sources=sources, ingestion={"parallelism": PODS}))
    path = path_of(namespace, "towers")
    killed: Counter[str] = Counter()
    _kill(node, namespace, _awaited(node, namespace, "-list-", operator)[0], killed)
    leases_run_out(database)
    while sum(killed.values()) <= KILLS and indexed(database) < DOCUMENTS * 0.9:
        pods = _awaited(node, namespace, "-embed-", operator)
        wait_for(lambda: in_hand(database), "documents in hand", 60, operator)
        time.sleep(chance.uniform(0, 3) if LONG else 0)  # anywhere in what a pod does
        _kill(node, namespace, chance.choice(pods), killed, disrupted=sum(killed.values()) % DISRUPTED == 0)
        if not LONG:  # else those of the dead run out in their time
            leases_run_out(database)
    wait_for(lambda: up_to_date(api.get(path)), "rest", 600 if LONG else 120, operator)
    took = time.monotonic() - began
    item = api.get(path)
    assert item["status"]["documents"] == {"total": DOCUMENTS, "indexed": DOCUMENTS, "pending": 0, "failed": 0}
    assert item["status"]["activeRevision"]["documents"] == DOCUMENTS
    chunks = check_intact(database, serving(installation), DOCUMENTS)
    assert item["status"]["activeRevision"]["chunks"] == chunks
    wait_for(lambda: all(map(ended, jobs(api, installation))), "the end of its Jobs", 60, operator)
    api.until(path, lambda each: reason(each, "Degraded") == "False/Healthy", 60)
    taken = _times_taken(database)
    of_jobs = len([job for job in jobs(api, installation) if "-embed-" in job["metadata"]["name"]])
    print(  # noqa: T201
        f"\n{DOCUMENTS} documents, {sum(killed.values())} pods killed ({killed['disrupted']} as evicted, "
        f"{killed['listing']} while listing), {of_jobs} embedding Jobs: {chunks} chunks, {taken} takings, {took:.1f} s"
    )
    assert taken > DOCUMENTS, "some were in the hands of a pod that was killed"
    assert sum(killed.values()) > KILLS / 2


def _awaited(node: ProcessKubelet, namespace: str, part: str, operator: Process) -> list[str]:
    """The pods of this part, once there are some."""

    def there() -> list[str]:
        return [name for name in node.running(namespace) if part in name]

    wait_for(there, f"a pod of {part}", 180, operator)
    return there()


def _kill(node: ProcessKubelet, namespace: str, pod: str, killed: Counter[str], *, disrupted: bool = False) -> None:
    """Unless it has ended by itself."""
    if pod in node.running(namespace):
        node.kill_pod(namespace, pod, disrupted=disrupted)
        killed["disrupted" if disrupted else "listing" if "-list-" in pod else "embedding"] += 1


def _times_taken(database: Database) -> int:
    rd = schema.revision_documents
    with database.begin() as connection:
        return int(connection.execute(sa.select(sa.func.sum(rd.c.attempts))).scalar_one())
