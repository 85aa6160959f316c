"""What a real API server refuses, in which words, and what it accepts and makes of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kube.crd_corpus import Edit, Invalid, Object, Valid, changed
from tests.kube.harness.api import Api, ApiError
from tests.kube.invalid.cases import CASES as INVALID
from tests.kube.invalid.cases import EDITS
from tests.kube.valid.cases import CASES as VALID

from ragindex_core.errors import InvalidSpec
from ragindex_core.object.resource import parse

pytestmark = pytest.mark.usefixtures("crd")

STRICT = "?fieldValidation=Strict"
DRY_RUN = f"{STRICT}&dryRun=All"


def named(case: Invalid | Valid | Edit) -> str:
    return case.name


def objects(namespace: str, name: str = "") -> str:
    return f"/apis/ragindex.io/v1alpha1/namespaces/{namespace}/ragindexes{name and f'/{name}'}"


@pytest.fixture(scope="module")
def home(api: Api) -> Iterator[str]:
    """One namespace for all objects of this module."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


def refusal(raised: pytest.ExceptionInfo[ApiError]) -> Object:
    found: Object = json.loads(raised.value.text)
    return found


def causes(status: Object) -> list[tuple[str, str]]:
    return [(cause.get("field", ""), cause["message"]) for cause in status["details"]["causes"]]


def said_at(status: Object, field: str, message: str) -> bool:
    return any(where == field and message in words for where, words in causes(status))


@pytest.mark.parametrize("case", INVALID, ids=named)
def test_what_is_wrong_is_refused_with_its_message(api: Api, case: Invalid) -> None:
    with pytest.raises(ApiError) as raised:
        api.create(objects("default") + DRY_RUN, case.body)
    status = refusal(raised)
    if case.strict:
        assert case.message in status["message"]
    else:
        assert said_at(status, case.field, case.message), causes(status)


@pytest.mark.parametrize("edit", EDITS, ids=named)
def test_an_edit_that_must_not_be_is_refused_with_its_message(api: Api, home: str, edit: Edit) -> None:
    body = {**changed(edit.before), "metadata": {"name": f"edit-{EDITS.index(edit)}"}}
    stored = api.create(objects(home) + STRICT, body)
    edited = {**changed(edit.after), "metadata": stored["metadata"]}
    with pytest.raises(ApiError) as raised:
        api.replace(objects(home, stored["metadata"]["name"]) + DRY_RUN, edited)
    assert said_at(refusal(raised), edit.field, edit.message)


@pytest.mark.parametrize("case", VALID, ids=named)
def test_what_is_right_is_stored_and_means_the_same_here_and_there(api: Api, home: str, case: Valid) -> None:
    name = case.body["metadata"]["name"]
    api.create(objects(home) + STRICT, case.body)
    stored = api.get(objects(home, name))
    api.delete(objects(home, name))
    assert parse(stored, "the API server").spec == parse(case.body, "the file").spec


@pytest.mark.parametrize("field", ["spec.embedding.dimensions", "spec.ingestion.maxObjectBytes"])
def test_a_whole_number_with_a_point_is_stored_without_it(api: Api, field: str) -> None:
    """To JSON ``384.0`` and ``384`` are one number. The local reader, which may come from YAML, asks for the second."""
    with pytest.raises(InvalidSpec, match="whole number"):
        parse(changed({field: 384.0}), "the file")
    stored = api.create(objects("default") + DRY_RUN, changed({field: 384.0}))
    assert parse(stored, "the API server").spec == parse(changed({field: 384}), "the file").spec


#: Together they reach every model of the spec, with no field of it given that may be left out.
BARE = (
    changed({"spec.index": {"hnsw": {}}}),
    changed({"spec.sources": [{"name": "a", "s3": {"bucket": "acme"}}, {"name": "b", "uploads": {}}]}),
    changed({"spec.generation.routes": [{"provider": "Bedrock", "model": "m"}], "spec.ingestion.resources": {}}),
)


@pytest.mark.parametrize("body", BARE)
def test_every_default_of_the_api_server_is_that_of_the_models(api: Api, body: Object) -> None:
    filled = api.create(objects("default") + DRY_RUN, body)["spec"]
    assert not_empty(filled) == not_empty(parse(body, "the file").to_wire()["spec"])


def not_empty(value: Any) -> Any:
    """Without what says no more than its absence: the API server fills in no empty text, list or mapping."""
    if isinstance(value, dict):
        kept = {key: not_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ("", [], {})}
    return [not_empty(item) for item in value] if isinstance(value, list) else value
