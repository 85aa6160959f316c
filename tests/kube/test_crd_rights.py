"""What the operator and people may do, as a real API server reads ``k8s/rbac``."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kube.harness.api import Api, ApiError
from tests.kube.harness.control_plane import ControlPlane
from tests.kube.harness.kubectl import Kubectl

from ragindex_operator.cluster.settings import OperatorEnvironment

pytestmark = pytest.mark.usefixtures("crd")

RBAC = Path(__file__).parents[2] / "k8s" / "rbac"
RIGHTS = Path(__file__).parent / "rights"
#: What every account may ask about itself and the server; it differs from one version of Kubernetes to the next.
EVERYONES = re.compile(r"^(selfsubject|\[/)|^ ")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((RBAC / name).read_text(encoding="utf-8")))


EVERY_RULE = [rule for file in RBAC.glob("*.yaml") for each in documents(file.name) for rule in each.get("rules", ())]


class Granted:
    """``k8s/rbac`` put in force for a release in a namespace of the test, and taken back after it."""

    def __init__(self, api: Api, kubectl: Kubectl, release: str) -> None:
        self._api = api
        self._kubectl = kubectl
        self.release = release
        self.account = f"system:serviceaccount:{release}:ragindex-operator"
        # Roles of the whole cluster get names of their own, so that a given cluster keeps those it has.
        self._own = f"ragindex-test-{uuid.uuid4().hex[:6]}"
        self._made: list[str] = []

    def __call__(self, file: str, namespace: str | None = None) -> None:
        for body in documents(file):
            moved = self._moved(body)
            if body["kind"].startswith("Cluster"):
                self._made.append(f"{body['kind'].lower()}/{moved['metadata']['name']}")
            self._kubectl.apply(moved, namespace=moved["metadata"].get("namespace", namespace))
        if file.startswith("operator"):
            for rule in (rule for body in documents(file) for rule in body.get("rules", ())):
                group = rule["apiGroups"][0] and f".{rule['apiGroups'][0]}"
                resource, _, part = rule["resources"][-1].partition("/")
                (name,) = rule.get("resourceNames", [""])
                asked = f"{resource}{group}{part and f'/{part}'}"
                self.wait(rule["verbs"][-1], asked, namespace or self.release, name=name)

    def rights(self, namespace: str) -> str:
        """As ``kubectl auth can-i --list`` shows them, without what everyone may."""
        told = self._kubectl("auth", "can-i", "--list", f"--as={self.account}", f"--namespace={namespace}")
        lines = [re.sub(r" {2,}", "  ", line).strip() for line in told.splitlines()[1:] if not EVERYONES.match(line)]
        return "\n".join(sorted(lines)) or "nothing"

    def may(self, verb: str, asked: str, namespace: str, account: str | None = None, name: str = "") -> bool:
        """``asked`` is a resource with its group, such as ``jobs.batch`` or ``ragindexes.ragindex.io/status``."""
        resource, _, subresource = asked.partition("/")
        resource, _, group = resource.partition(".")
        attributes = {"verb": verb, "resource": resource, "group": group, "subresource": subresource, "name": name}
        review = {"user": account or self.account, "resourceAttributes": {**attributes, "namespace": namespace}}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": review}
        answer = self._api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    def wait(self, verb: str, asked: str, namespace: str, account: str | None = None, name: str = "") -> None:
        """Until a right that was given is known to the API server, which gives no sign of that."""
        deadline = time.monotonic() + 30
        while not self.may(verb, asked, namespace, account, name):
            assert time.monotonic() < deadline, f"may not {verb} {asked} {name} in {namespace}"
            time.sleep(0.02)

    def take_back(self) -> None:
        for name in self._made:
            self._kubectl("delete", name)

    def _moved(self, body: dict[str, Any]) -> dict[str, Any]:
        """To the release's namespace of this test."""
        text = yaml.safe_dump(body).replace("namespace: ragindex\n", f"namespace: {self.release}\n")
        moved: dict[str, Any] = yaml.safe_load(text)
        if body["kind"].startswith("Cluster"):
            moved["metadata"]["name"] = f"{self._own}-{body['metadata']['name']}"
        if body["kind"] == "ClusterRoleBinding":
            moved["roleRef"]["name"] = f"{self._own}-{body['roleRef']['name']}"
        return moved


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
