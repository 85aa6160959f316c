"""What the generated schema promises to the API server and to people who read ``kubectl explain``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ragindex_core.object.base import PATTERN_HINTS, Model, Rule, TransitionRule
from ragindex_core.object.reasons import ConditionType, Outcome, Reason, RequestName
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.object.status import RagIndexStatus


def models(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for sub in model.__subclasses__():
        yield from models(sub)


def nodes(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field's schema, with its name."""
    for name, definition in {"": schema, **schema.get("$defs", {})}.items():
        for field, node in definition.get("properties", {}).items():
            yield f"{name}.{field}", node
            for inner in (*node.get("anyOf", ()), *([node["items"]] if "items" in node else ())):
                yield f"{name}.{field}[]", {"description": "of its list", **inner}


SPEC = RagIndexSpec.model_json_schema(by_alias=True)


@pytest.mark.parametrize("schema", [SPEC, RagIndexStatus.model_json_schema(by_alias=True)], ids=["spec", "status"])
def test_every_field_is_described(schema: dict[str, Any]) -> None:
    assert [name for name, node in nodes(schema) if not node.get("description") and "$ref" not in node] == []


def test_every_string_and_list_of_the_spec_is_bounded() -> None:
    unbounded = [
        name
        for name, node in nodes(SPEC)
        if (node.get("type") == "string" and "maxLength" not in node and "enum" not in node)
        or (node.get("type") == "array" and "maxItems" not in node)
        or (node.get("type") == "object" and "additionalProperties" in node and "maxProperties" not in node)
        or (node.get("type") == "integer" and not {"minimum", "maximum", "format"} <= node.keys())
    ]
    assert unbounded == []


def test_the_spec_has_no_floats() -> None:
    assert [name for name, node in nodes(SPEC) if node.get("type") == "number"] == []


def test_every_pattern_has_words_for_people() -> None:
    patterns = {node["pattern"] for _, node in nodes(SPEC) if "pattern" in node}
    assert patterns <= PATTERN_HINTS.keys()


def test_rules_stand_beside_the_fields_they_guard() -> None:
    for model in models(Model):
        written = model.model_json_schema(by_alias=True).get("x-kubernetes-validations", [])
        own: list[Rule | TransitionRule] = [*model.rules, *model.transition_rules]
        assert [(rule["rule"], rule["message"]) for rule in written] == [(r.cel, r.message) for r in own]


def test_sources_are_a_list_map_by_name() -> None:
    sources = SPEC["properties"]["sources"]
    assert sources["x-kubernetes-list-type"] == "map"
    assert sources["x-kubernetes-list-map-keys"] == ["name"]


@pytest.mark.parametrize("closed", [ConditionType, Reason, RequestName, Outcome])
def test_every_member_of_a_closed_list_says_what_it_means_in_one_sentence(closed: Any) -> None:
    for member in closed:
        assert member.summary.endswith("."), member
        assert len(member.summary) > 10
    assert len({member.summary for member in closed}) == len(closed)


def test_models_are_frozen_and_closed() -> None:
    open_ones = {m.__name__ for m in models(Model) if m.model_config.get("extra") != "forbid"}
    assert open_ones == {"Metadata"}
    assert all(m.model_config.get("frozen") for m in models(Model))
