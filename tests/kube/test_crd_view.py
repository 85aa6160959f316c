"""What people and tools see of the definition: explanations, the short view, selectors, the status."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.kube.crd_corpus import changed
from tests.kube.harness.api import Api, ApiError
from tests.kube.harness.kubectl import Kubectl, KubectlError

from ragindex_core.object.ingestion import IngestionSpec
from ragindex_core.object.spec import HnswSpec
from ragindex_core.object.status import Condition, RagIndexStatus

pytestmark = pytest.mark.usefixtures("crd")

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ragindexes.ragindex.io"
GROUP = "io.ragindex.v1alpha1"
REVISION = {"id": "r1", "key": "k", "provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384, "documents": 7,
            "chunks": 9, "effectiveMaxTokens": 256, "promotedAt": "2026-11-21T10:00:00Z"}  # fmt: skip
#: Every field of the status.
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Serving",
            "message": "r1 answers",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-21T10:00:00Z",
        }
    ],
    "activeRevision": REVISION,
    "pendingRevision": {
        **REVISION,
        "id": "r2",
        "documentsTotal": 9,
        "estimatedTokens": 5_000_000_000,
        "estimatedCost": "1.20 USD",
    },
    "retainedRevisions": [REVISION],
    "documents": {"total": 9, "indexed": 7, "pending": 1, "failed": 1},
    "ingestion": {
        "lastRun": "run-1",
        "lastStartTime": "2026-11-21T10:00:00Z",
        "lastCompletionTime": "2026-11-21T10:00:00Z",
        "lastSuccessfulTime": "2026-11-21T10:00:00Z",
        "nextScheduledTime": "2026-11-21T11:00:00Z",
        "consecutiveFailures": 0,
    },
    "database": {"serverVersion": "16.4", "pgvectorVersion": "0.8.1", "indexState": "Valid", "sizeBytes": 81920},
    "endpoint": "https://ragindex.example.org",
    "knowledgeBaseId": "R77C3S3WCZ",
    "handled": {
        "promote": {"value": "r1", "outcome": "Done", "message": "", "time": "2026-11-21T10:00:00Z"},
    },
}


def path(namespace: str, subresource: str = "") -> str:
    return f"/apis/ragindex.io/v1alpha1/namespaces/{namespace}/ragindexes/handbook{subresource}"


@pytest.fixture
def stored(api: Api, namespace: str) -> dict[str, Any]:
    return api.create(path(namespace).rpartition("/")[0], changed({}))


@pytest.fixture(scope="module")
def explained(api: Api) -> None:
    """The API server has written the definition into what it tells of itself, seconds after it serves the objects.

    It gives no sign of that which could be awaited.
    """
    deadline = time.monotonic() + 60
    while f"{GROUP}.RagIndex" not in schemas(api):
        assert time.monotonic() < deadline, "the definition is still not explained"
        time.sleep(0.1)


def schemas(api: Api) -> dict[str, Any]:
    try:
        found: dict[str, Any] = api.get("/openapi/v3/apis/ragindex.io/v1alpha1")["components"]["schemas"]
    except ApiError:
        return {}
    return found


def with_status(stored: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return {**stored, "status": status}


@pytest.mark.usefixtures("explained")
@pytest.mark.parametrize(
    ("field", "model"),
    [("spec.ingestion", IngestionSpec), ("spec.index.hnsw", HnswSpec), ("status.conditions", Condition)],
)
def test_kubectl_explain_teaches_every_field(kubectl: Kubectl, field: str, model: Any) -> None:
    told = " ".join(kubectl("explain", f"ragindex.{field}").split())
    for each in model.model_fields.values():
        assert f"{each.alias} <" in told
        assert " ".join(each.description.split()) in told


def test_the_short_view_tells_whether_an_index_works(
    api: Api, kubectl: Kubectl, namespace: str, stored: dict[str, Any]
) -> None:
    api.replace(path(namespace, "/status"), with_status(stored, STATUS))
    heads, row = (line.split() for line in kubectl("get", "rgi", f"--namespace={namespace}").splitlines())
    assert heads == ["NAME", "READY", "REASON", "MODEL", "DOCS", "FAILED", "SUSPENDED", "SYNCED", "AGE"]
    assert row[:7] == ["handbook", "True", "Serving", "all-minilm-l6-v2", "7", "1", "false"]
    assert "r1 answers" in kubectl("get", "ragindex", "--output=wide", f"--namespace={namespace}")
    assert "handbook" in kubectl("get", "ragindexes.ragindex.io", f"--namespace={namespace}", "--output=name")


def test_objects_of_one_database_are_found_by_its_name(
    kubectl: Kubectl, namespace: str, stored: dict[str, Any]
) -> None:
    def found(database: str) -> str:
        selector = f"--field-selector=spec.databaseRef.name={database}"
        return kubectl("get", "rgi", f"--namespace={namespace}", selector, "--output=name").strip()

    assert found(stored["spec"]["databaseRef"]["name"]) == "ragindex.ragindex.io/handbook"
    assert found("other") == ""


def test_a_status_is_stored_as_it_was_written(api: Api, namespace: str, stored: dict[str, Any]) -> None:
    assert RagIndexStatus.model_validate(STATUS).to_wire() == STATUS
    suspended = {**stored, "spec": {**stored["spec"], "suspend": True}}
    api.replace(path(namespace, "/status"), with_status(suspended, STATUS))
    found = api.get(path(namespace))
    assert found["status"] == STATUS
    assert found["spec"] == stored["spec"]
    assert found["metadata"]["generation"] == stored["metadata"]["generation"]


def test_a_status_may_hold_words_of_another_release(api: Api, namespace: str, stored: dict[str, Any]) -> None:
    condition = {**STATUS["conditions"][0], "type": "Mirrored", "reason": "OfTomorrow"}
    handled = {"of-tomorrow": {**STATUS["handled"]["promote"], "outcome": "Postponed"}}
    api.replace(path(namespace, "/status"), with_status(stored, {"conditions": [condition], "handled": handled}))
    assert api.get(path(namespace))["status"] == {"conditions": [condition], "handled": handled}


def test_the_sample_of_a_status_holds_every_field(api: Api) -> None:
    schema = api.get(DEFINITION)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]

    def fields(node: dict[str, Any], at: str = "") -> set[str]:
        holder = node.get("items") or node.get("additionalProperties") or node
        below = holder.get("properties", {})
        return {f"{at}.{name}" for name in below}.union(*(fields(each, f"{at}.{name}") for name, each in below.items()))

    def written(value: Any, at: str = "") -> set[str]:
        if isinstance(value, list):
            return set().union(*(written(each, at) for each in value))
        if not isinstance(value, dict):
            return set()
        if at == ".handled":
            return set().union(*(written(each, ".handled.*") for each in value.values()))
        return {f"{at}.{name}" for name in value}.union(
            *(written(each, f"{at}.{name}") for name, each in value.items())
        )

    assert fields(schema) == {name.replace(".*", "") for name in written(STATUS)}


def test_a_misspelt_field_is_refused_by_apply_and_dropped_by_patch(
    api: Api, kubectl: Kubectl, namespace: str, stored: dict[str, Any]
) -> None:
    misspelt = changed({"spec.embeding": {"provider": "Local"}})
    with pytest.raises(KubectlError, match=r'unknown field "(spec\.)?embeding"'):
        kubectl.apply(misspelt, namespace=namespace)
    patched = api.patch(path(namespace), {"spec": {"embeding": {"provider": "Local"}}})
    assert patched["spec"] == stored["spec"]


def test_the_definition_applied_again_changes_nothing(api: Api, kubectl: Kubectl) -> None:
    """What an API server makes of it is what stands in the file, so that tools that compare the two see no drift."""
    before = api.get(DEFINITION)["metadata"]["generation"]
    kubectl("apply", "--server-side", f"--filename={Path(__file__).parents[2] / 'k8s' / 'crd'}")
    assert api.get(DEFINITION)["metadata"]["generation"] == before
