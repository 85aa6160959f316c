"""An object's life: applied, filled, edited while people ask, rolled back, deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest
import sqlalchemy as sa
from tests.kube.harness.api import Api, Object
from tests.kube.harness.kubectl import Kubectl
from tests.kube.operator.installation import (
    MODEL,
    Installation,
    Process,
    path_of,
    rag_index,
    reason,
    up_to_date,
    wait_for,
)

from ragindex_db import indexes, schema
from ragindex_db.schema import DATA_SCHEMA

MORE = "More of it. " * 60
NOTES = {f"note-{n:02}.md": f"# Note {n}\n\nRule {n} grants {n} days of leave. {MORE}" for n in range(12)}
QUERIES_A_SECOND = 20


@dataclass
class Asking:
    """What came of searches that went on all the while."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)  # as each answer named it, without repetitions in a row


@contextmanager
def asking(service: Process, namespace: str, name: str) -> Iterator[Asking]:
    """Searches at a steady rate until the block ends."""
    asked, over = Asking(), threading.Event()
    url = f"http://127.0.0.1:{service.port}/v1/indexes/{namespace}/{name}/search"

    def ask() -> None:
        with httpx2.Client(timeout=10) as client:
            due = time.monotonic()
            while not over.wait(max(due - time.monotonic(), 0)):
                due += 1 / QUERIES_A_SECOND
                answer = client.post(url, json={"query": "days of leave", "mode": "vector", "top_k": 5})
                if answer.status_code != httpx2.codes.OK:
                    asked.failures.append(f"{answer.status_code}: {answer.text[:200]}")
                    continue
                found = answer.json()
                asked.answered += 1
                if len(found["results"]) != 5:
                    asked.failures.append(f"{len(found['results'])} results")
                revision = found["revision"]["id"]
                if asked.revisions[-1:] != [revision]:
                    asked.revisions.append(revision)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()
        print(f"{asked.answered} answers, revisions {asked.revisions}, failures {asked.failures[:5]}")  # noqa: T201


def tables(installation: Installation) -> int:
    """How many data tables there are."""
    with installation.database.begin() as connection:
        return len(sa.inspect(connection).get_table_names(schema=DATA_SCHEMA))


def apply(api: Api, installation: Installation, item: Object) -> str:
    """The path of the object, which reads the ConfigMap of its name."""
    installation.write_notes(item["metadata"]["name"], NOTES)
    api.create(path_of(installation.namespace), item)
    return path_of(installation.namespace, item["metadata"]["name"])


def conditions(item: Object | None) -> dict[str, str]:
    return {c["type"]: f"{c['status']}/{c['reason']}" for c in (item or {}).get("status", {}).get("conditions", [])}


def test_an_applied_object_fills_itself_is_edited_under_queries_and_rolled_back(
    api: Api, kubectl: Kubectl, installation: Installation
) -> None:
    installation.operator()
    service = installation.service()
    applied = time.monotonic()
    path = apply(api, installation, rag_index("handbook", installation.namespace))
    ready = api.until(path, up_to_date, 120)
    print(f"\nready {time.monotonic() - applied:.1f} s after it was applied")  # noqa: T201  with -s
    assert ready is not None
    assert reason(ready, "Ready") == "True/Serving"
    assert ready["status"]["documents"] == {"total": 12, "indexed": 12, "pending": 0, "failed": 0}
    assert ready["status"]["activeRevision"]["id"] == "r1"
    wait = "--for=jsonpath={.status.conditions[?(@.type=='Progressing')].reason}=UpToDate"
    kubectl("wait", "rgi/handbook", wait, f"--namespace={installation.namespace}", "--timeout=10s")
    kubectl("wait", "rgi/handbook", "--for=condition=Ready", f"--namespace={installation.namespace}", "--timeout=10s")

    with asking(service, installation.namespace, "handbook") as asked:
        edited = time.monotonic()
        api.patch(path, {"spec": {"chunking": {"maxTokens": 64, "overlapTokens": 8}}})
        promoted = api.until(path, lambda i: up_to_date(i) and i["status"]["activeRevision"]["id"] == "r2", 120)
        print(f"promoted {time.monotonic() - edited:.1f} s after the edit")  # noqa: T201  with -s
        wait_for(lambda: "r2" in asked.revisions, "answers of the new revision", 20)
        assert promoted is not None
        assert [kept["id"] for kept in promoted["status"]["retainedRevisions"]] == ["r1"]
        assert promoted["status"]["activeRevision"]["chunks"] > ready["status"]["activeRevision"]["chunks"]
        api.patch(path, {"metadata": {"annotations": {"ragindex.io/rollback": "r1"}}})
        back = api.until(path, lambda i: i["status"]["activeRevision"]["id"] == "r1", 60)
        assert back is not None
        assert back["status"]["handled"]["rollback"]["outcome"] == "Done"
        assert reason(back, "Progressing") == "False/RolledBack"
        wait_for(lambda: asked.revisions[-1] == "r1", "answers of the former revision", 20)
    assert asked.failures == []
    assert asked.revisions == ["r1", "r2", "r1"]


def test_an_edited_config_map_is_followed(api: Api, installation: Installation) -> None:
    installation.operator()
    path = apply(api, installation, rag_index("handbook", installation.namespace))
    api.until(path, up_to_date, 120)
    installation.write_notes("handbook", {**NOTES, "new.md": "# New\n\nSomething new."})

    def followed() -> bool:
        """ConfigMaps are looked at each minute, and whenever the object itself is."""
        api.patch(path, {"metadata": {"labels": {"looked-at": str(time.monotonic_ns())}}})
        return bool(api.get(path)["status"]["documents"]["indexed"] == 13)

    wait_for(followed, "the new entry", 60)


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_deleted_object_leaves_what_its_policy_says(api: Api, bare_installation: Installation, policy: str) -> None:
    installation = bare_installation
    installation.operator()
    schedule = {"schedule": "0 4 * * *", "timeZone": "Etc/UTC"}
    item = rag_index("handbook", installation.namespace, deletionPolicy=policy, ingestion=schedule)
    path = apply(api, installation, item)
    api.until(path, lambda i: conditions(i).get("SchemaReady") == "True/TablesReady", 60)
    assert tables(installation) > 0
    batch = f"/apis/batch/v1/namespaces/{installation.namespace}"
    wait_for(lambda: api.get(f"{batch}/jobs")["items"] and api.get(f"{batch}/cronjobs")["items"], "Jobs", 30)
    api.delete(path)
    api.until_gone(path, 60)
    wait_for(lambda: not api.get(f"{batch}/jobs")["items"], "the end of its Jobs", 30)
    assert api.get(f"{batch}/cronjobs")["items"] == []
    retained = installation.database.run(indexes.list_retained, installation.name)
    assert [row.full_name for row in retained] == ([f"{installation.namespace}/handbook"] if policy == "Retain" else [])
    assert (tables(installation) > 0) is (policy == "Retain")


def test_retained_data_is_taken_over_by_a_new_object(api: Api, installation: Installation) -> None:
    installation.operator()
    item = rag_index("handbook", installation.namespace)
    path = apply(api, installation, item)
    first = api.until(path, up_to_date, 120)
    assert first is not None
    api.delete(path)
    api.until_gone(path, 60)
    uid = first["metadata"]["uid"]
    adopting = rag_index("handbook", installation.namespace, annotations={"ragindex.io/adopt-from": uid})
    embedded = len(installation.models.requests)
    api.create(path_of(installation.namespace), adopting)
    second = api.until(path, up_to_date, 120)
    assert second is not None
    assert second["status"]["activeRevision"] == first["status"]["activeRevision"]
    assert len(installation.models.requests) == embedded


def test_what_cannot_work_says_so_and_what_was_in_force_goes_on(api: Api, bare_installation: Installation) -> None:
    installation = bare_installation
    installation.operator(allow='[{"namespaces": ["test-*"], "databases": ["default"], "endpoints": ["words"]}]')
    item = rag_index("handbook", installation.namespace)
    item["spec"]["embedding"] = {**MODEL, "endpointRef": {"name": "words"}}
    path = apply(api, installation, item)
    api.until(path, lambda i: conditions(i).get("SchemaReady") == "True/TablesReady", 60)
    api.patch(path, {"spec": {"sources": [{"name": "files", "directory": {"path": "/etc"}}]}})
    stalled = api.until(path, lambda i: conditions(i).get("Stalled") == "True/NotAllowed", 60)
    assert conditions(stalled)["SchemaReady"] == "True/TablesReady"
    api.patch(
        path,
        {"spec": {"sources": item["spec"]["sources"], "ingestion": {"schedule": "0 4 31 2 *", "timeZone": "Etc/UTC"}}},
    )
    stalled = api.until(path, lambda i: conditions(i).get("Stalled") == "True/InvalidSpec", 60)
    api.patch(path, {"spec": {"ingestion": None}})
    api.until(path, lambda i: conditions(i).get("Stalled") == "False/NotStalled", 60)


@pytest.mark.long
def test_a_schedule_starts_runs_by_itself(api: Api, installation: Installation) -> None:
    installation.operator()
    every_minute = {"schedule": "* * * * *", "timeZone": "Etc/UTC"}
    path = apply(api, installation, rag_index("handbook", installation.namespace, ingestion=every_minute))
    api.until(path, up_to_date, 120)

    def scheduled() -> list[str]:
        """The states of runs that nobody asked for."""
        with installation.database.begin() as connection:
            runs = schema.sync_runs.c
            found = connection.execute(sa.select(runs.state).where(runs.trigger == "Scheduled").order_by(runs.id))
            return [row.state for row in found]

    wait_for(lambda: scheduled().count("Succeeded") >= 2, "two scheduled runs", 200)
    api.patch(path, {"spec": {"suspend": True}})
    cron_jobs = f"/apis/batch/v1/namespaces/{installation.namespace}/cronjobs"
    wait_for(lambda: api.get(cron_jobs)["items"][0]["spec"]["suspend"], "the CronJob's rest", 30)
