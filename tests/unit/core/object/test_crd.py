"""The definition that an API server is given: what it promises to servers, to tools, and to people who read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ragindex_core.object.base import Model, Rule, TransitionRule
from ragindex_core.object.crd import definition, manifest
from ragindex_core.object.reasons import ConditionType, Reason

VERSION = definition()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SPEC, STATUS = ROOT["properties"]["spec"], ROOT["properties"]["status"]
Node = dict[str, Any]


def nodes(schema: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Every schema below, with the path to it; the entries of lists and mappings too."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for inner, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if inner in schema:
            yield from nodes(schema[inner], f"{path}{mark}")


ALL = [*nodes(SPEC, "spec"), *nodes(STATUS, "status")]
OF_SPEC = list(nodes(SPEC, "spec"))


def models(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for below in model.__subclasses__():
        yield from models(below)


def test_every_field_says_what_it_is_for() -> None:
    silent = [path for path, node in ALL if not path.endswith(("[]", "{}")) and len(node.get("description", "")) < 8]
    assert silent == []


def test_it_speaks_only_the_dialect_of_api_servers() -> None:
    foreign = {"$ref", "$defs", "title", "const", "oneOf", "allOf", "nullable", "patternProperties", "propertyNames"}
    assert [path for path, node in ALL if foreign & node.keys()] == []
    assert [path for path, node in ALL if node.get("additionalProperties") is False] == []
    assert {"integer", "string", "boolean", "object", "array", None} == {node.get("type") for _, node in ALL}


def test_a_field_without_a_type_is_a_quantity() -> None:
    untyped = [node for _, node in ALL if "type" not in node]
    assert len(untyped) == 2
    assert all(node["x-kubernetes-int-or-string"] and node["minimum"] == 0 for node in untyped)


def test_every_list_says_how_two_writers_of_it_are_joined() -> None:
    lists = {path: node.get("x-kubernetes-list-map-keys", node.get("x-kubernetes-list-type")) for path, node in ALL
             if node.get("type") == "array"}  # fmt: skip
    assert lists.pop("spec.sources") == ["name"]
    assert lists.pop("status.conditions") == ["type"]
    assert set(lists.values()) == {"atomic"}


def test_everything_a_person_writes_is_bounded() -> None:
    least = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}
    for path, node in OF_SPEC:
        needed = least.get(node.get("type", ""), "description" if "properties" in node else "")
        if "additionalProperties" in node:
            needed = "maxProperties"
        assert not needed or needed in node or "enum" in node, path


def test_a_default_of_an_object_is_complete() -> None:
    """An API server checks the rules of an object's default before it fills in the defaults below."""
    with_default = [(path, node) for path, node in OF_SPEC if "properties" in node and "default" in node]
    assert len(with_default) == 8
    for path, node in with_default:
        inner = {name: field["default"] for name, field in node["properties"].items() if "default" in field}
        assert node["default"] == inner, path


@pytest.mark.parametrize("member", ["s3", "configMap", "directory", "uploads"])
def test_no_member_of_a_union_has_a_default(member: str) -> None:
    assert "default" not in SPEC["properties"]["sources"]["items"]["properties"][member]
    assert "default" not in SPEC["properties"]["index"]["properties"]["hnsw"]


def test_the_status_has_no_defaults() -> None:
    assert [path for path, node in nodes(STATUS, "status") if "default" in node] == []


def test_the_status_names_the_closed_lists_and_leaves_room_for_those_of_another_release() -> None:
    condition = STATUS["properties"]["conditions"]["items"]["properties"]
    assert [path for path, node in nodes(STATUS, "status") if "enum" in node] == []
    assert all(reason.value in condition["reason"]["description"] for reason in Reason)
    assert all(type_.value in condition["type"]["description"] for type_ in ConditionType)


def test_every_rule_of_the_models_is_there_in_their_words() -> None:
    found = {(rule["rule"], rule["message"]) for _, node in nodes(ROOT, "") for rule in rules(node)}
    every: list[Rule | TransitionRule] = [
        *(rule for model in models(Model) for rule in model.rules),
        *(rule for model in models(Model) for rule in model.transition_rules),
    ]
    written = {(rule.cel, rule.message) for rule in every}
    about_keys = {pair for pair in found if "every key must be" in pair[1]}
    assert found - about_keys == written
    assert len(about_keys) == 2


def test_what_holds_for_keys_of_mappings_is_a_rule() -> None:
    (rule,) = rules(SPEC["properties"]["ingestion"]["properties"]["nodeSelector"])
    assert rule["rule"].startswith("self.all(key, size(key) <= 253 && key.matches(r'^")
    assert rule["message"] == "every key must be a label key such as kubernetes.io/arch, of at most 253 characters"


def rules(node: Node) -> list[dict[str, str]]:
    found: list[dict[str, str]] = node.get("x-kubernetes-validations", [])
    return found


def test_what_a_rule_demands_is_told_beside_the_field() -> None:
    for path, node in OF_SPEC:
        if not path.endswith("[]") and path != "spec":
            assert all(rule["message"] in node["description"] for rule in rules(node)), path
    assert "exactly one of s3" in SPEC["properties"]["sources"]["description"]


def test_a_pattern_means_the_same_to_both_readers() -> None:
    """Classes such as ``\\s`` hold other characters in Go than in Rust, and neither looks ahead, behind or back."""
    for path, node in OF_SPEC:
        pattern = node.get("pattern", "^$")
        assert not re.search(r"\\[a-wyzA-Z0-9]|\(\?", pattern.replace(r"\x", "")), path
        assert pattern.startswith("^"), path
        assert pattern.endswith("$"), path
        outside = re.sub(r"\[[^]]*\]|\\\.", "", pattern)
        assert "." not in outside, path


def test_the_short_view_tells_whether_an_index_works() -> None:
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Ready", "Reason", "Model", "Docs", "Failed", "Suspended", "Synced", "Age"]
    for column in VERSION["additionalPrinterColumns"]:
        node = ROOT
        for part in re.sub(r"\[\?[^]]*\]", ".items", column["jsonPath"]).strip(".").split("."):
            if part in ("metadata", "creationTimestamp"):
                break
            node = node["items"] if part == "items" else node["properties"][part]
        else:
            kind = "date" if node.get("format") == "date-time" else node["type"]
            assert kind == column["type"], column["name"]


def test_uninstalling_the_chart_leaves_the_definition_and_every_index() -> None:
    assert definition()["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_manifest_is_plain_yaml_of_the_definition() -> None:
    assert yaml.safe_load(manifest()) == definition()
    assert not re.search(r"^ *\S+: [&*]id", manifest(), re.MULTILINE)
