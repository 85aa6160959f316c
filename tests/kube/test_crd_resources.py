"""What is said of an object's resources is what a real API server says of a pod that asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kube.crd_corpus import changed
from tests.kube.harness.api import Api, ApiError

from ragindex_core.object.check import check
from ragindex_core.object.resource import parse

JOBS = "/apis/batch/v1/namespaces/default/jobs?dryRun=All"


def job(resources: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "worker", "image": "none", "resources": resources}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}}


@pytest.mark.parametrize(
    "resources",
    [
        {},
        {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "1024Mi"}},
        {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000M"}},
        {"requests": {"cpu": "1.5"}, "limits": {"cpu": "1500m"}},
        {"requests": {"cpu": 3}, "limits": {"cpu": "2.999"}},
        {"requests": {"ephemeral-storage": "2Gi"}},
        {"limits": {"nvidia.com/gpu": 1}},
        {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": "1"}},
        {"requests": {"nvidia.com/gpu": 1}},
        {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}},
        {"limits": {"nvidia.com/gpu": "500m"}},
        {"limits": {"nvidia.com/gpu": "1k"}},
        {"limits": {"gpu": 1}},
        {"requests": {"storage": "1Gi"}},
        {"requests": {"pods": 1}},
        {"limits": {"kubernetes.io/gpu": 1}},
        {"limits": {"requests.example.com/gpu": 1}},
        {"limits": {"hugepages-x": "4Mi", "cpu": 1}},
        {"requests": {"cpu": 1, "hugepages-2Mi": "2Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
        {"requests": {"cpu": "0.1m"}},
        {"requests": {"memory": "100m"}},
    ],
    ids=str,
)
def test_resources_can_work_when_a_pod_may_have_them(api: Api, resources: dict[str, Any]) -> None:
    found = check(parse(changed({"spec.ingestion.resources": resources}), "the file").spec)
    assert bool(found) == refused(api, resources), found


def refused(api: Api, resources: dict[str, Any]) -> bool:
    try:
        api.create(JOBS, job(resources))
    except ApiError:
        return True
    return False
