"""With the rights of ``k8s/rbac`` and no others an operator does all that it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kube.granted import Granted
from tests.kube.harness.api import Api
from tests.kube.harness.control_plane import ControlPlane, GivenCluster
from tests.kube.harness.kubectl import Kubectl
from tests.kube.operator.installation import Installation, path_of, rag_index, up_to_date, wait_for


@pytest.fixture
def granted(api: Api, kubectl: Kubectl, namespace: str) -> Iterator[Granted]:
    granted = Granted(api, kubectl, namespace)
    granted("operator-role.yaml")
    yield granted
    granted.take_back()


@pytest.mark.parametrize("cluster_wide", [True, False], ids=["cluster-wide", "namespaced"])
def test_an_object_lives_and_goes_under_the_least_rights(
    api: Api,
    control_plane: ControlPlane | GivenCluster,
    installation: Installation,
    granted: Granted,
    cluster_wide: bool,
) -> None:
    namespace = installation.namespace
    if cluster_wide:
        granted("operator-watched.yaml")
    else:
        granted("operator-watched-namespaced.yaml", namespace=namespace)
    kubeconfig = control_plane.kubeconfig_for("ragindex-operator", namespace)
    operator = installation.operator(kubeconfig=kubeconfig, namespaces="[]" if cluster_wide else f'["{namespace}"]')
    installation.write_notes("handbook", {"leave.md": "# Leave\n\nEverybody has 28 days of leave."})
    schedule = {"schedule": "0 4 * * *", "timeZone": "Etc/UTC"}
    item = rag_index("handbook", namespace, deletionPolicy="Delete", ingestion=schedule)
    api.create(path_of(namespace), item)
    api.until(path_of(namespace, "handbook"), up_to_date, 120)
    cron_jobs = f"/apis/batch/v1/namespaces/{namespace}/cronjobs"
    its_own = f"ragindex.io/namespace={namespace}"  # cluster-wide, it looks after what other tests left, too
    assert len(api.get(cron_jobs, labelSelector=its_own)["items"]) == 1
    told = api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    assert any(event["regarding"]["kind"] == "RagIndex" for event in told)
    api.delete(path_of(namespace, "handbook"))
    api.until_gone(path_of(namespace, "handbook"), 60)
    wait_for(lambda: not api.get(cron_jobs, labelSelector=its_own)["items"], "the end of its CronJob", 30)
    assert "forbidden" not in operator.said().lower()
