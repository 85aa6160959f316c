"""The API server and the local reader agree on objects that nobody thought of: right ones with one field changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.kube.crd_corpus import Object
from tests.kube.harness.api import Api, ApiError
from tests.kube.valid.cases import CASES as VALID

from ragindex_core.errors import InvalidSpec
from ragindex_core.object.crd import definition
from ragindex_core.object.resource import parse
from ragindex_core.object.spec import RagIndexSpec

pytestmark = pytest.mark.usefixtures("crd")

OBJECTS = "/apis/ragindex.io/v1alpha1/namespaces/default/ragindexes?dryRun=All&fieldValidation=Strict"
SPEC = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
Schema = dict[str, Any]
Path = tuple[str | int, ...]

#: Any text that JSON can carry.
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
KEYS = st.sampled_from(["name", "x"]) | TEXT
#: Of any kind but what the two read differently on purpose: a whole number with a point, which is one only to JSON, and
#: an unknown field that holds null, which the local reader passes over.
ANYTHING = st.none() | st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(st.none() | inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """What a field may hold, or just not any more."""
    match schema.get("type"):
        case "integer":
            return st.integers(schema["minimum"] - 1, schema["maximum"] + 1) | st.sampled_from(
                [schema["minimum"] - 1, schema["minimum"], schema["maximum"], schema["maximum"] + 1]
            )
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(values(schema["items"]), max_size=3)
        case "object" if "additionalProperties" in schema:
            keys = st.sampled_from(["cpu", "a/b", "nvidia.com/gpu"]) | st.text("aZ0.-_/ ", max_size=6)
            return st.dictionaries(keys, values(schema["additionalProperties"]), max_size=3)
        case "object":
            optional = {name: values(field) for name, field in schema.get("properties", {}).items()}
            return st.fixed_dictionaries({}, optional=optional)
        case _ if "enum" in schema:
            return st.sampled_from([*schema["enum"], "Another"])
        case _:
            return texts(schema)


def texts(schema: Schema) -> st.SearchStrategy[str | int]:
    found: st.SearchStrategy[str | int] = TEXT
    if "pattern" in schema:
        # Python's "$" lets a line break follow.
        right = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z").filter(lambda text: text.isprintable())
        found |= right | right.map(lambda text: text + " ") | right.map(str.swapcase)
    return found | st.integers(-1, 9) if "x-kubernetes-int-or-string" in schema else found


def places(schema: Schema, body: Any, path: Path) -> Iterator[tuple[Path, Schema]]:
    """Every field that the object has, or could have, with its schema."""
    for name, field in schema.get("properties", {}).items():
        yield (*path, name), field
        if isinstance(body, dict) and isinstance(body.get(name), dict | list):
            yield from places(field, body[name], (*path, name))
    if isinstance(body, list) and body:
        yield (*path, 0), schema["items"]
        yield from places(schema["items"], body[0], (*path, 0))


@st.composite
def objects(draw: st.DrawFn) -> Object:
    body = copy.deepcopy(draw(st.sampled_from(VALID)).body)
    path, schema = draw(st.sampled_from(list(places(SPEC, body["spec"], ("spec",)))))
    node: Any = body
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = draw(values(schema) | values(schema) | values(schema) | ANYTHING)
    return body


@settings(max_examples=150, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])  # fmt: skip
@given(body=objects())
def test_an_object_is_accepted_by_both_or_by_neither_and_means_the_same(api: Api, body: Object) -> None:
    served, read = by_the_api_server(api, body), locally(body)
    event("refused" if isinstance(read, InvalidSpec) else "accepted")
    if isinstance(read, InvalidSpec) or isinstance(served, ApiError):
        assert isinstance(read, InvalidSpec), f"only the API server refuses it: {served}"
        assert isinstance(served, ApiError), f"only the local reader refuses it: {read}"
    else:
        assert parse(served, "the API server").spec == read


def locally(body: Object) -> RagIndexSpec | InvalidSpec:
    try:
        return parse(body, "the file").spec
    except InvalidSpec as error:
        return error


def by_the_api_server(api: Api, body: Object) -> Object | ApiError:
    try:
        return api.create(OBJECTS, body)
    except ApiError as error:
        return error
