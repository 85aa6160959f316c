"""Jobs and CronJobs as data: names that fit, what the object says and what only the settings may say."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.reconcile.observed import Timetable, Workers
from ragindex_operator.cluster import manifests as m
from ragindex_operator.cluster.settings import WorkerPods

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ragindex", "uid": "aa"}
PODS = WorkerPods(image="ragindex:1")
RELEASE = m.Release("default", "rag", OWNER, PODS)
UID = "5b0e7d3a-1111-4222-8333-444455556666"
NIGHTLY = Timetable("0 4 * * *", "Etc/UTC")


def wanted(name: str = "handbook", uid: str = UID, **ingestion: Any) -> RagIndex:
    spec = {
        "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
        "sources": [{"name": "notes", "configMap": {"name": "notes"}}],
        "ingestion": ingestion,
    }
    document = {"apiVersion": "ragindex.io/v1alpha1", "kind": "RagIndex", "spec": spec}
    return parse({**document, "metadata": {"name": name, "namespace": "hr", "uid": uid}}, "test")


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(name=NAMES, run=st.integers(1, 10**12), attempt=st.integers(1, 10**4))
def test_every_name_fits_and_begins_and_ends_as_names_must(name: str, run: int, attempt: int) -> None:
    index = wanted(name)
    listing = m.listing_job(RELEASE, index, str(run), attempt)["metadata"]["name"]
    embedding = m.embedding_job(RELEASE, index, Workers(frozenset({1}), 2), 2, attempt)["metadata"]["name"]
    schedule = m.cron_job(RELEASE, index, NIGHTLY)["metadata"]["name"]
    for made, most in ((listing, 63), (embedding, 63), (schedule, 52)):
        assert len(made) <= most
        assert made[0].isalnum()
        assert made[-1].isalnum()
        assert UID[:8] in made


def test_the_same_job_has_the_same_name_and_another_has_another() -> None:
    index, workers = wanted(), Workers(frozenset({1}), 2)
    assert m.embedding_job(RELEASE, index, workers, 2, 1) == m.embedding_job(RELEASE, index, workers, 2, 1)
    names = {
        m.embedding_job(RELEASE, index, workers, 2, 1)["metadata"]["name"],
        m.embedding_job(RELEASE, index, workers, 2, 2)["metadata"]["name"],
        m.listing_job(RELEASE, index, "1", 1)["metadata"]["name"],
        m.listing_job(RELEASE, index, "2", 1)["metadata"]["name"],
        m.embedding_job(RELEASE, wanted(uid="6" + UID[1:]), workers, 2, 1)["metadata"]["name"],
    }
    assert len(names) == 5


def test_a_job_leads_back_to_its_object_and_goes_with_the_release() -> None:
    metadata = m.listing_job(RELEASE, wanted(), "7", 1)["metadata"]
    assert metadata["namespace"] == "rag"
    assert metadata["ownerReferences"] == [OWNER]
    labels = metadata["labels"]
    assert (labels[m.UID], labels[m.NAMESPACE], labels[m.NAME]) == (UID, "hr", "handbook")


def test_what_an_embedding_job_was_asked_for_can_be_read_back() -> None:
    workers = Workers(frozenset({3, 11}), 5)
    job = m.embedding_job(RELEASE, wanted(), workers, 2, 1)
    assert job["spec"]["parallelism"] == 2
    assert m.workers_of(job) == workers


def test_pods_are_as_restricted_as_a_namespace_may_demand() -> None:
    pod = m.listing_job(RELEASE, wanted(), "7", 1)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["image"] == "ragindex:1"


def resources(**own: Any) -> Any:
    index = wanted(resources=own)
    job = m.embedding_job(RELEASE, index, Workers(frozenset({1}), 1), 1, 1)
    return job["spec"]["template"]["spec"]["containers"][0]["resources"]


def test_an_objects_resources_are_laid_over_the_settings() -> None:
    assert resources() == PODS.resources.model_dump()
    asked = resources(requests={"cpu": "2"})
    assert asked["requests"] == {"cpu": "2", "memory": "1Gi"}


def test_a_request_above_the_usual_limit_raises_it() -> None:
    assert resources(requests={"memory": "8Gi"})["limits"] == {"memory": "8Gi"}


def test_a_limit_below_the_usual_request_lowers_it() -> None:
    assert resources(limits={"memory": "512Mi"})["requests"]["memory"] == "512Mi"


def test_node_selectors_come_from_the_object() -> None:
    index = wanted(nodeSelector={"kubernetes.io/arch": "arm64"})
    job = m.embedding_job(RELEASE, index, Workers(frozenset({1}), 1), 1, 1)
    assert job["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/arch": "arm64"}


def test_a_volume_with_documents_is_mounted_to_be_read() -> None:
    pods = WorkerPods.model_validate({"image": "i", "volumes": [{"claim": "docs", "path": "/sources/docs"}]})
    pod = m.listing_job(m.Release("default", "rag", OWNER, pods), wanted(), "7", 1)["spec"]["template"]["spec"]
    assert {"name": "docs", "mountPath": "/sources/docs", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    claim = {"claimName": "docs", "readOnly": True}
    assert {"name": "docs", "persistentVolumeClaim": claim} in pod["volumes"]


def test_a_configuration_error_fails_at_once_and_a_disruption_counts_for_nothing() -> None:
    rules = m.listing_job(RELEASE, wanted(), "7", 1)["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]
    assert rules[1]["onExitCodes"]["values"] == [42]


def test_a_timetable_says_when_and_where_and_never_twice_at_once() -> None:
    spec = m.cron_job(RELEASE, wanted(), Timetable("0 4 * * *", "Europe/Berlin", suspended=True))["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 4 * * *", "Europe/Berlin", True)
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] == 600


def test_other_settings_of_pods_tell_a_timetable_apart() -> None:
    other = m.Release("default", "rag", OWNER, WorkerPods(image="ragindex:2"))
    assert m.made_by(RELEASE, wanted()) != m.made_by(other, wanted())
    assert m.made_by(RELEASE, wanted()) == m.made_by(RELEASE, wanted(schedule="0 5 * * *", timeZone="Etc/UTC"))
