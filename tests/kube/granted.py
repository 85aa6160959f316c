"""The roles of ``k8s/rbac``, put in force for a release in a namespace of a test."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from typing import Any

import yaml
from tests.kube.harness.api import Api
from tests.kube.harness.kubectl import Kubectl

RBAC = Path(__file__).parents[2] / "k8s" / "rbac"
#: What every account may ask about itself and the server; it differs from one version of Kubernetes to the next.
_EVERYONES = re.compile(r"^(selfsubject|\[/)|^ ")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((RBAC / name).read_text(encoding="utf-8")))


class Granted:
    """Called with each file that is to be in force; ``take_back`` ends with what is not in a namespace."""

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
        lines = [re.sub(r" {2,}", "  ", line).strip() for line in told.splitlines()[1:] if not _EVERYONES.match(line)]
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
