"""What the operator and people may do, as a real API server reads ``k8s/rbac``."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kube.granted import RBAC, Granted, documents
from tests.kube.harness.api import Api, ApiError
from tests.kube.harness.control_plane import ControlPlane
from tests.kube.harness.kubectl import Kubectl

from ragindex_operator.cluster.settings import OperatorEnvironment

pytestmark = pytest.mark.usefixtures("crd")

RIGHTS = Path(__file__).parent / "rights"
EVERY_RULE = [rule for file in RBAC.glob("*.yaml") for each in documents(file.name) for rule in each.get("rules", ())]


@pytest.fixture
def granted(api: Api, kubectl: Kubectl, namespace: str) -> Iterator[Granted]:
    granted = Granted(api, kubectl, namespace)
    yield granted
    granted.take_back()


@pytest.fixture
def tenant(api: Api) -> Iterator[str]:
    """A namespace where RagIndex objects are, and no release."""
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    with contextlib.suppress(ApiError):
        api.delete(f"/api/v1/namespaces/{name}")


def test_no_rule_has_a_wildcard_or_reaches_secrets_or_pods() -> None:
    assert len(EVERY_RULE) > 10
    for rule in EVERY_RULE:
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not any("*" in word for word in words), rule
        assert not words & {"secrets", "pods", "pods/exec", "serviceaccounts", "roles", "impersonate", "escalate"}, rule


def test_one_namespace_is_watched_with_the_same_rights_as_all() -> None:
    everywhere, one = (documents(f"operator-watched{mode}.yaml")[0] for mode in ("", "-namespaced"))
    assert everywhere["rules"] == one["rules"]


def test_rights_bound_to_a_name_are_bound_to_the_one_the_operator_looks_for() -> None:
    names = [name for rule in EVERY_RULE for name in rule.get("resourceNames", ())]
    fields = OperatorEnvironment.model_fields
    assert names == [fields["lease"].default, fields["release_config_map"].default]


def test_the_rights_of_an_operator_of_the_whole_cluster(granted: Granted, tenant: str) -> None:
    granted("operator-role.yaml")
    granted("operator-watched.yaml")
    found = f"# the release's namespace\n{granted.rights(granted.release)}\n# any other\n{granted.rights(tenant)}\n"
    assert found == (RIGHTS / "operator-cluster-wide.txt").read_text(encoding="utf-8")


def test_the_rights_of_an_operator_of_some_namespaces(granted: Granted, tenant: str) -> None:
    granted("operator-role.yaml")
    granted("operator-watched-namespaced.yaml", namespace=tenant)
    at_home, at_one, elsewhere = (granted.rights(place) for place in (granted.release, tenant, "default"))
    found = f"# the release's namespace\n{at_home}\n# one it looks after\n{at_one}\n# any other\n{elsewhere}\n"
    assert found == (RIGHTS / "operator-namespaced.txt").read_text(encoding="utf-8")


def test_the_operator_reads_no_secret_lists_no_config_map_and_makes_nothing_at_a_tenants(
    granted: Granted, tenant: str
) -> None:
    granted("operator-role.yaml")
    granted("operator-watched.yaml")
    for place in (granted.release, tenant):
        for verb in ("get", "list", "watch"):
            assert not granted.may(verb, "secrets", place)
        assert not granted.may("list", "configmaps", place)
        assert not granted.may("delete", "ragindexes.ragindex.io", place)
        assert not granted.may("create", "pods", place)
    assert not granted.may("create", "jobs.batch", tenant)
    assert granted.may("create", "jobs.batch", granted.release)
    assert granted.may("get", "configmaps", tenant)


def test_a_secret_is_refused_to_the_operators_own_token(
    granted: Granted, control_plane: ControlPlane, api: Api
) -> None:
    granted("operator-role.yaml")
    granted("operator-watched.yaml")
    secrets = f"/api/v1/namespaces/{granted.release}/secrets"
    api.create(secrets, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}})
    operator = Api(control_plane.kubeconfig_for("ragindex-operator", granted.release))
    try:
        with pytest.raises(ApiError) as raised:
            operator.get(f"{secrets}/database")
        assert raised.value.status == 403
        assert operator.get(f"/apis/batch/v1/namespaces/{granted.release}/jobs")["items"] == []
    finally:
        operator.close()


#: What each of Kubernetes' own roles gets besides what those before it have.
PEOPLE: dict[str, list[tuple[str, str]]] = {
    "view": [
        ("list", "ragindexes.ragindex.io"),
        ("create", "ragindexes.ragindex.io/search"),
        ("create", "ragindexes.ragindex.io/answer"),
        ("get", "ragindexes.ragindex.io/documents"),
    ],
    "edit": [
        ("patch", "ragindexes.ragindex.io"),
        ("delete", "ragindexes.ragindex.io"),
        ("create", "ragindexes.ragindex.io/documents"),
        ("delete", "ragindexes.ragindex.io/documents"),
    ],
    "admin": [("deletecollection", "ragindexes.ragindex.io")],
}


@pytest.mark.parametrize("role", PEOPLE)
def test_who_may_see_edit_or_administer_a_namespace_may_do_so_with_its_indexes(
    granted: Granted, kubectl: Kubectl, namespace: str, role: str
) -> None:
    granted("aggregated.yaml")
    kubectl("create", "rolebinding", "person", f"--clusterrole={role}", "--user=ann", f"--namespace={namespace}")
    order = list(PEOPLE)
    for each in order[: order.index(role) + 1]:
        for verb, asked in PEOPLE[each]:
            granted.wait(verb, asked, namespace, "ann")
    for each in order[order.index(role) + 1 :]:
        for verb, asked in PEOPLE[each]:
            assert not granted.may(verb, asked, namespace, "ann"), f"{verb} {asked}"
