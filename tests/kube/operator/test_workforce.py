"""Jobs and CronJobs on a real API server: one at a time, within the pods allowed, told of when they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.kube.harness.api import Api, Object
from tests.kube.harness.control_plane import ControlPlane, GivenCluster
from tests.kube.operator.installation import wait_for

from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.reconcile.observed import Timetable, Workers
from ragindex_operator.cluster.api import KubeApi
from ragindex_operator.cluster.connection import Connection
from ragindex_operator.cluster.jobs import JobStore
from ragindex_operator.cluster.manifests import Release
from ragindex_operator.cluster.settings import WorkerPods
from ragindex_operator.cluster.vital_signs import VitalSigns
from ragindex_operator.cluster.workforce import KubeWorkforce

TWO = Workers(frozenset({1}), 2)
Make = Callable[..., KubeWorkforce]


def wanted(name: str = "handbook", number: int = 1, **ingestion: Any) -> RagIndex:
    spec = {
        "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
        "sources": [{"name": "notes", "configMap": {"name": "notes"}}],
        "ingestion": ingestion,
    }
    metadata = {"name": name, "namespace": "hr", "uid": f"0000000{number}-0000-4000-8000-000000000000"}
    return parse({"apiVersion": "ragindex.io/v1alpha1", "kind": "RagIndex", "metadata": metadata, "spec": spec}, "test")


@pytest.fixture
def kube(control_plane: ControlPlane | GivenCluster) -> KubeApi:
    return KubeApi(Connection.of_kubeconfig(control_plane.kubeconfig))


@pytest.fixture
def owner(api: Api, namespace: str) -> Object:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ragindex"}}
    made = api.create(f"/api/v1/namespaces/{namespace}/configmaps", body)
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": "ragindex", "uid": made["metadata"]["uid"]}


@pytest.fixture
def store(kube: KubeApi, namespace: str) -> Iterator[JobStore]:
    found = JobStore(kube, namespace, namespace, lambda _key: None, VitalSigns())
    found.start()
    assert found.synced.wait(30)
    yield found
    found.stop()


@pytest.fixture
def make(kube: KubeApi, store: JobStore, namespace: str, owner: Object) -> Make:
    def made(most_pods: int | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> KubeWorkforce:
        release = Release(namespace, namespace, owner, WorkerPods(image="none"))
        return KubeWorkforce(kube, store, release, most_pods=most_pods, may_write=lambda: None, clock=clock)

    return made


def jobs_of(api: Api, namespace: str) -> list[Object]:
    found: list[Object] = api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    return found


def end(api: Api, job: Object, type_: str, message: str = "") -> None:
    """As the Job controller would say it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[type_]
    conditions = [
        {"type": each, "status": "True", "lastTransitionTime": now, "message": message} for each in (before, type_)
    ]
    status: Object = {"conditions": conditions, "startTime": now, "uncountedTerminatedPods": {}}
    if type_ == "Complete":
        status["completionTime"] = now
    path = f"/apis/batch/v1/namespaces/{job['metadata']['namespace']}/jobs/{job['metadata']['name']}/status"
    api.patch(path, {"status": status})


def test_workers_are_started_once(api: Api, make: Make, namespace: str) -> None:
    crew = make()
    index = wanted()
    assert crew.look(index).workers is None
    crew.ensure(index, TWO)
    crew.ensure(index, TWO)
    assert crew.look(index).workers == TWO
    assert [job["spec"]["parallelism"] for job in jobs_of(api, namespace)] == [2]


def test_more_or_fewer_pods_are_the_same_job(api: Api, make: Make, namespace: str) -> None:
    crew = make()
    index = wanted()
    crew.ensure(index, TWO)
    crew.ensure(index, Workers(frozenset({1, 2}), 3))
    assert crew.look(index).workers == Workers(frozenset({1, 2}), 3)
    assert [job["spec"]["parallelism"] for job in jobs_of(api, namespace)] == [3]


def test_a_life_that_does_not_know_of_the_job_takes_it_for_its_own(api: Api, make: Make, namespace: str) -> None:
    index = wanted()
    make().list_sources(index, "7")
    another = make()
    another._store.forget({"kind": "Job", **jobs_of(api, namespace)[0]})
    another.list_sources(index, "7")
    assert len(jobs_of(api, namespace)) == 1


def test_a_completed_job_gets_a_successor_and_goes_by_itself(api: Api, make: Make, namespace: str) -> None:
    crew = make()
    index = wanted()
    crew.ensure(index, TWO)
    end(api, jobs_of(api, namespace)[0], "Complete")
    wait_for(lambda: crew.look(index).workers is None, "the end of the Job", 20)
    assert crew.look(index).trouble is None
    crew.note_ends(index)
    assert jobs_of(api, namespace)[0]["spec"]["ttlSecondsAfterFinished"] == 3600
    crew.ensure(index, TWO)
    assert len({job["metadata"]["name"] for job in jobs_of(api, namespace)}) == 2


def test_a_failed_job_is_told_of_and_the_next_waits_longer_each_time(api: Api, make: Make, namespace: str) -> None:
    crew = make()
    index = wanted()
    rests = []
    for failures in (1, 2):
        crew.list_sources(index, "7")
        running = [job for job in jobs_of(api, namespace) if not job["status"].get("conditions")]
        end(api, running[0], "Failed", "exit code 42")
        wait_for(lambda: not crew.look(index).listing, "the end of the Job", 20)
        seen = crew.look(index)
        assert seen.trouble == "listing: exit code 42"
        assert seen.rests_until is not None
        rests.append(seen.rests_until - datetime.now(UTC))
        assert failures == len(rests)
    assert timedelta(seconds=20) < rests[0] <= timedelta(seconds=30)
    assert timedelta(seconds=45) < rests[1] <= timedelta(seconds=60)


def test_pods_are_bounded_and_what_becomes_free_goes_to_who_waits(api: Api, make: Make, namespace: str) -> None:
    crew = make(most_pods=2)
    first, second = wanted("first", 1), wanted("second", 2)
    crew.ensure(first, TWO)
    crew.ensure(second, TWO)
    assert crew.look(second).queued
    assert crew.waiting() == ["hr/second"]
    assert len(jobs_of(api, namespace)) == 1
    end(api, jobs_of(api, namespace)[0], "Complete")
    wait_for(lambda: not crew.look(second).queued, "room", 20)
    crew.ensure(second, TWO)
    assert crew.look(second).workers == TWO


def test_who_was_given_fewer_pods_gets_the_others_when_there_is_room(api: Api, make: Make, namespace: str) -> None:
    crew = make(most_pods=3)
    first, second = wanted("first", 1), wanted("second", 2)
    crew.ensure(first, TWO)
    crew.ensure(second, TWO)
    assert crew.look(second).workers == TWO  # as far as can be
    (job,) = (job for job in jobs_of(api, namespace) if "first" in job["metadata"]["name"])
    end(api, job, "Complete")
    wait_for(lambda: crew.look(second).workers == Workers(frozenset({1}), 1), "room for one more", 20)
    crew.ensure(second, TWO)
    (job,) = (job for job in jobs_of(api, namespace) if "second" in job["metadata"]["name"])
    assert job["spec"]["parallelism"] == 2


def test_who_goes_while_waiting_holds_nothing_back(api: Api, make: Make, namespace: str) -> None:
    crew = make(most_pods=1)
    one = Workers(frozenset({1}), 1)
    crew.ensure(wanted("first", 1), one)
    crew.ensure(wanted("second", 2), one)
    crew.clear_away(wanted("second", 2).metadata.uid)
    crew.clear_away(wanted("first", 1).metadata.uid)
    crew.ensure(wanted("third", 3), one)
    assert crew.look(wanted("third", 3)).workers == one


def test_what_the_cluster_refuses_is_told_and_tried_later(make: Make) -> None:
    crew = make()
    index = wanted(resources={"limits": {"example.com/gpu": "500m"}})
    crew.ensure(index, TWO)
    seen = crew.look(index)
    assert seen.workers is None
    assert seen.trouble is not None
    assert "must be an integer" in seen.trouble
    assert seen.rests_until is not None
    assert seen.rests_until > datetime.now(UTC)


def test_a_timetable_is_kept_changed_and_dropped(make: Make) -> None:
    crew = make()
    index = wanted(schedule="0 4 * * *", timeZone="Etc/UTC")
    nightly = Timetable("0 4 * * *", "Etc/UTC")
    crew.keep(index, nightly)
    assert crew.look(index).timetable == nightly
    resting = Timetable("0 5 * * *", "Europe/Berlin", suspended=True)
    crew.keep(index, resting)
    assert crew.look(index).timetable == resting
    crew.drop_timetable(index)
    assert crew.look(index).timetable is None


def test_stopping_ends_what_runs_and_nothing_of_others(api: Api, make: Make, namespace: str) -> None:
    crew = make()
    first, second = wanted("first", 1), wanted("second", 2)
    for index in (first, second):
        crew.ensure(index, TWO)
        crew.list_sources(index, "7")
    crew.stop(first)
    seen = crew.look(first)
    assert (seen.workers, seen.listing) == (None, False)
    assert crew.look(second).workers == TWO
    assert crew.look(second).listing
