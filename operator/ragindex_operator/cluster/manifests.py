"""Jobs and CronJobs as Kubernetes is given them: data made from an object and the settings, nothing else.

Names follow from the object and what the Job is for, so that who makes one twice meets the first. Labels lead back to
the object; the owner is the release's own ConfigMap, so that none outlives the release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragindex_core.object.ingestion import ResourcesSpec
from ragindex_core.object.quantity import amount
from ragindex_core.object.resource import RagIndex
from ragindex_core.reconcile.observed import Timetable, Workers
from ragindex_operator.cluster.settings import WorkerPods

MANAGED_BY = "ragindex-operator"
UID, NAMESPACE, NAME = "ragindex.io/uid", "ragindex.io/namespace", "ragindex.io/name"
PART, RUN, ATTEMPT = "ragindex.io/part", "ragindex.io/run", "ragindex.io/attempt"
REVISIONS, PARALLELISM, MADE_BY = "ragindex.io/revisions", "ragindex.io/parallelism", "ragindex.io/made-by"
LISTING, EMBEDDING = "listing", "embedding"

#: What a worker ends with when no further attempt can help.
CONFIGURATION_ERROR = 42
_MOST_OF_JOB_NAME = 63
#: So that the names of its Jobs, which it ends with a time, have 63.
_MOST_OF_CRON_JOB_NAME = 52
_STARTING_DEADLINE_SECONDS = 600
_GRACE_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Release:
    """The installation that all of it belongs to; ``owner`` refers to its ConfigMap."""

    installation: str
    namespace: str
    owner: Mapping[str, Any]
    pods: WorkerPods


def _name(wanted: RagIndex, suffix: str, most: int = _MOST_OF_JOB_NAME) -> str:
    """What is too long is cut from the object's name: its uid and the suffix tell things apart."""
    end = f"-{wanted.metadata.uid[:8]}{suffix}"
    return f"rgi-{wanted.metadata.name}"[: most - len(end)].rstrip("-") + end


def listing_job(release: Release, wanted: RagIndex, run: str, attempt: int) -> dict[str, Any]:
    name = _name(wanted, f"-list-{run}-{attempt}")
    labels = {**_labels(release, wanted, LISTING), RUN: run, ATTEMPT: str(attempt)}
    return _job(release, name, labels, {}, _listing_spec(release, wanted, labels))


def embedding_job(release: Release, wanted: RagIndex, workers: Workers, pods: int, attempt: int) -> dict[str, Any]:
    """``pods`` may be fewer than were asked for."""
    name = _name(wanted, f"-embed-{attempt}")
    labels = {**_labels(release, wanted, EMBEDDING), ATTEMPT: str(attempt)}
    arguments = ["worker", "--embed", "--drain", "--index", wanted.path]
    pod = _pod(release, arguments, _resources(release, wanted.spec.ingestion.resources))
    if wanted.spec.ingestion.node_selector:
        pod["nodeSelector"] = dict(wanted.spec.ingestion.node_selector)
    return _job(release, name, labels, described(workers), _job_spec(release, labels, pod, pods))


def cron_job(release: Release, wanted: RagIndex, timetable: Timetable) -> dict[str, Any]:
    labels = _labels(release, wanted, LISTING)
    spec = {
        "schedule": timetable.schedule,
        "timeZone": timetable.time_zone,
        "suspend": timetable.suspended,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": _STARTING_DEADLINE_SECONDS,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"metadata": {"labels": labels}, "spec": _listing_spec(release, wanted, labels)},
    }
    metadata = _metadata(
        release, _name(wanted, "", _MOST_OF_CRON_JOB_NAME), labels, {MADE_BY: made_by(release, wanted)}
    )
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def _resources(release: Release, own: ResourcesSpec) -> dict[str, dict[str, str]]:
    """The object's own beside the settings'. A request above a limit that nobody gave with it raises that limit."""
    common = release.pods.resources
    requests, limits = {**common.requests, **own.requests}, {**common.limits, **own.limits}
    for name, asked in own.requests.items():
        if name in limits and name not in own.limits and amount(asked) > amount(limits[name]):
            limits[name] = asked
    for name, limit in own.limits.items():
        if name in requests and name not in own.requests and amount(requests[name]) > amount(limit):
            requests[name] = limit
    return {"requests": requests, "limits": limits}


def made_by(release: Release, wanted: RagIndex) -> str:
    """Changes with whatever the pods of the object's CronJob are made of."""
    labels = _labels(release, wanted, LISTING)
    canonical = json.dumps(_listing_spec(release, wanted, labels), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def described(workers: Workers) -> dict[str, str]:
    """What was asked for, as annotations."""
    return {
        REVISIONS: ",".join(map(str, sorted(workers.revisions))),
        PARALLELISM: str(workers.parallelism),
    }


def workers_of(job: Mapping[str, Any]) -> Workers:
    annotations = job["metadata"].get("annotations", {})
    numbers = annotations.get(REVISIONS, "")
    return Workers(
        revisions=frozenset(int(number) for number in numbers.split(",") if number),
        parallelism=int(annotations.get(PARALLELISM) or 0),
    )


def _labels(release: Release, wanted: RagIndex, part: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "ragindex",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": MANAGED_BY,
        "app.kubernetes.io/instance": release.installation,
        UID: wanted.metadata.uid,
        NAMESPACE: wanted.metadata.namespace,
        NAME: wanted.metadata.name,
        PART: part,
    }


def _metadata(release: Release, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": release.namespace,
        "labels": dict(labels),
        "annotations": dict(annotations),
        "ownerReferences": [dict(release.owner)],
    }


def _job(
    release: Release, name: str, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]
) -> dict[str, Any]:
    metadata = _metadata(release, name, labels, annotations)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": dict(spec)}


def _listing_spec(release: Release, wanted: RagIndex, labels: Mapping[str, str]) -> dict[str, Any]:
    resources = release.pods.resources.model_dump(mode="json")
    pod = _pod(release, ["worker", "--list", "--index", wanted.path], resources)
    return _job_spec(release, labels, pod, 1)


def _job_spec(release: Release, labels: Mapping[str, str], pod: Mapping[str, Any], pods: int) -> dict[str, Any]:
    """No time to live: the end of a Job is noted first. One pod's success ends it: the others have drained too."""
    return {
        "parallelism": pods,
        "backoffLimit": 6,
        "activeDeadlineSeconds": release.pods.deadline_seconds,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [CONFIGURATION_ERROR]}},
            ]
        },
        "template": {"metadata": {"labels": dict(labels)}, "spec": dict(pod)},
    }


def _pod(release: Release, arguments: list[str], resources: Mapping[str, Any]) -> dict[str, Any]:
    container = {
        "name": "worker",
        "image": release.pods.image,
        "command": list(release.pods.command),
        "args": arguments,
        "envFrom": [
            {"configMapRef": {"name": release.pods.config}},
            {"secretRef": {"name": release.pods.secret}},
        ],
        "resources": dict(resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108  a volume of the pod's own
            *({"name": each.claim, "mountPath": each.path, "readOnly": True} for each in release.pods.volumes),
        ],
    }
    claims = (
        {"name": each.claim, "persistentVolumeClaim": {"claimName": each.claim, "readOnly": True}}
        for each in release.pods.volumes
    )
    return {
        "restartPolicy": "Never",
        "serviceAccountName": release.pods.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "10Gi"}}, *claims],
    }
