"""Namespaces that are deleted while no operator looks, and while the database is down: nothing stays Terminating, and
of the data stays what the policies say."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.kube.harness.api import Api, ApiError, Object
from tests.kube.operator.gate import Gate
from tests.kube.operator.installation import Installation, Process, path_of, rag_index, reason, wait_for

from ragindex_db import indexes
from ragindex_db.schema import DATA_SCHEMA

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
OF_EACH_POLICY = 50 if LONG else 3
#: The promise: from the start of an operator, or of the database, until nothing is Terminating any more.
GONE_WITHIN = 60
SCHEDULE = {"schedule": "0 4 * * *", "timeZone": "Etc/UTC"}
NOTES = {"note.md": "# Note\n\nThirty days of leave."}


@pytest.fixture
def tenant(api: Api) -> Iterator[str]:
    """A namespace of objects, which is not the release's."""
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    with contextlib.suppress(ApiError):  # it is gone: that is what these tests are about
        api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def gate(database_url: str) -> Iterator[Gate]:
    gate = Gate(database_url)
    yield gate
    gate.shut()


def take_down(operator: Process) -> None:
    """One that is killed leaves its Lease, and the next waits until that has run out."""
    if LONG:
        operator.kill()
    else:
        operator.stop()


def apply(api: Api, installation: Installation, tenant: str, name: str, policy: str) -> None:
    installation.write_notes(name, NOTES, tenant)
    api.create(path_of(tenant), rag_index(name, tenant, deletionPolicy=policy, ingestion=SCHEDULE))


def objects(api: Api, tenant: str) -> list[Object]:
    found: list[Object] = api.get(path_of(tenant))["items"]
    return found


def has_work(api: Api, tenant: str) -> bool:
    return all(reason(each, "SchemaReady") == "True/TablesReady" for each in objects(api, tenant))


def delete_namespace(api: Api, tenant: str) -> None:
    """And wait until it waits for nothing but the operator: the ConfigMaps that objects read are gone by then."""
    api.delete(f"/api/v1/namespaces/{tenant}")
    config_maps = f"/api/v1/namespaces/{tenant}/configmaps"
    wait_for(lambda: all("deletionTimestamp" in each["metadata"] for each in objects(api, tenant)), "deletions", 60)
    wait_for(lambda: not api.get(config_maps)["items"], "the end of its ConfigMaps", 60)


def made_for(api: Api, installation: Installation) -> list[str]:
    """Names of Jobs and CronJobs."""
    batch = f"/apis/batch/v1/namespaces/{installation.namespace}"
    return [each["metadata"]["name"] for kind in ("jobs", "cronjobs") for each in api.get(f"{batch}/{kind}")["items"]]


def retained(installation: Installation) -> list[str]:
    return sorted(row.name for row in installation.database.run(indexes.list_retained, installation.name))


def live(installation: Installation) -> list[str]:
    return sorted(row.name for row in installation.database.run(indexes.list_live, installation.name))


def tables(installation: Installation) -> int:
    with installation.database.begin() as connection:
        return len(sa.inspect(connection).get_table_names(schema=DATA_SCHEMA))


def test_a_namespace_deleted_while_the_operator_is_down_goes_when_it_is_back(
    api: Api, bare_installation: Installation, tenant: str
) -> None:
    installation = bare_installation
    names = [f"{policy.lower()}-{n}" for policy in ("Retain", "Delete") for n in range(OF_EACH_POLICY)]
    first = installation.operator(namespaces=json.dumps([tenant]))
    for name in names:
        apply(api, installation, tenant, name, name.partition("-")[0].capitalize())
    wait_for(lambda: has_work(api, tenant), "tables", 120, first)
    wait_for(lambda: len(made_for(api, installation)) >= 2 * len(names), "a Job and a CronJob of each", 60, first)
    of_all = tables(installation)
    take_down(first)
    apply(api, installation, tenant, "unseen", "Delete")
    delete_namespace(api, tenant)
    assert sorted(each["metadata"]["name"] for each in objects(api, tenant)) == sorted(names)

    second = installation.operator(namespaces=json.dumps([tenant]))
    gone = wait_for(lambda: not api.answers(f"/api/v1/namespaces/{tenant}"), "its end", GONE_WITHIN, second)
    print(f"\n{len(names)} objects and their namespace gone {gone:.1f} s after the operator was started")  # noqa: T201
    wait_for(lambda: not made_for(api, installation), "the end of their Jobs", 30, second)
    assert retained(installation) == sorted(name for name in names if name.startswith("retain"))
    assert live(installation) == []
    assert tables(installation) * 2 == of_all
    assert "cannot reconcile" not in second.said()


def test_with_the_database_down_only_what_is_to_be_dropped_waits(
    api: Api, bare_installation: Installation, tenant: str, gate: Gate
) -> None:
    installation = bare_installation
    first = installation.operator(database_url=gate.url, namespaces=json.dumps([tenant]))
    policies = {"kept": "Retain", "dropped": "Delete", "forced": "Delete"}
    for name, policy in policies.items():
        apply(api, installation, tenant, name, policy)
    wait_for(lambda: has_work(api, tenant), "tables", 60, first)
    take_down(first)
    gate.shut()
    delete_namespace(api, tenant)

    second = installation.operator(database_url=gate.url, namespaces=json.dumps([tenant]))
    kept = wait_for(lambda: not api.answers(path_of(tenant, "kept")), "the end of what is kept", GONE_WITHIN, second)
    blocked = "False/DeletionBlocked"
    api.until(path_of(tenant, "dropped"), lambda item: reason(item, "Progressing") == blocked, 30)
    api.until(path_of(tenant, "forced"), lambda item: reason(item, "Progressing") == blocked, 30)
    api.patch(path_of(tenant, "forced"), {"metadata": {"annotations": {"ragindex.io/force-release": "now"}}})
    forced = wait_for(lambda: not api.answers(path_of(tenant, "forced")), "the end of what is forced", 10, second)
    wait_for(lambda: not made_for(api, installation), "the end of their Jobs", 30, second)
    assert [each["metadata"]["name"] for each in objects(api, tenant)] == ["dropped"]
    assert live(installation) == sorted(policies), "nobody could note that they went"

    gate.open()
    gone = wait_for(lambda: not api.answers(f"/api/v1/namespaces/{tenant}"), "its end", GONE_WITHIN, second)
    print(  # noqa: T201
        f"\nwithout a database Retain went after {kept:.1f} s and what was forced after {forced:.1f} s; with it again"
        f" Delete and the namespace after {gone:.1f} s"
    )
    assert "cannot reconcile" not in second.said()
    if LONG:
        noted = wait_for(lambda: retained(installation) == ["forced", "kept"], "a note of what is kept", 120, second)
        print(f"what is kept was noted {noted:.1f} s later")  # noqa: T201
        assert live(installation) == []
