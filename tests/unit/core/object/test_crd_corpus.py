"""What an API server refuses is refused locally, and what it accepts is accepted: the corpus of tests/kube."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kube.crd_corpus import Edit, Invalid, Valid, changed
from tests.kube.invalid.cases import CASES as INVALID
from tests.kube.invalid.cases import EDITS
from tests.kube.valid.cases import CASES as VALID

from ragindex_core.errors import InvalidSpec
from ragindex_core.object.check import check_edit
from ragindex_core.object.crd import definition
from ragindex_core.object.resource import parse

ROOT = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]


def named(case: Invalid | Valid | Edit) -> str:
    return case.name


@pytest.mark.parametrize("case", INVALID, ids=named)
def test_what_an_api_server_refuses_is_refused_at_the_same_field(case: Invalid) -> None:
    """Rules in the same words. ``local_field`` tells of the few places where the two look at another field.

    The API server knows no fields of metadata, has a rule about keys at their mapping, and shows the second entry of
    a name where the local reader shows its name.
    """
    with pytest.raises(InvalidSpec) as raised:
        parse(case.body, "handbook.yaml")
    said = [problem.message for problem in raised.value.problems if problem.field == (case.local_field or case.field)]
    assert said
    assert not case.rule or case.message in said


@pytest.mark.parametrize("case", VALID, ids=named)
def test_what_an_api_server_accepts_is_accepted(case: Valid) -> None:
    index = parse(case.body, "handbook.yaml")
    assert parse(index.to_wire(), "catalogue") == index


@pytest.mark.parametrize("edit", EDITS, ids=named)
def test_an_edit_that_an_api_server_refuses_is_refused(edit: Edit) -> None:
    before, after = (parse(changed(changes), "handbook.yaml").spec for changes in (edit.before, edit.after))
    assert [(problem.field, problem.message) for problem in check_edit(after, before)] == [(edit.field, edit.message)]


def fields(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, node in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from fields(node, f"{path}.{name}")
        yield from fields(node.get("items", {}), f"{path}.{name}[]")


def messages(schema: dict[str, Any]) -> Iterator[str]:
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from messages(inner)


def test_the_corpus_holds_a_mistake_in_every_field() -> None:
    mistaken = {re.sub(r"\[\d+\]", "[]", case.field) for case in INVALID}
    mistaken |= {field.removesuffix("[]") for field in mistaken}
    assert set(fields(SPEC, "spec")) - mistaken == set()


def test_the_corpus_breaks_every_rule() -> None:
    broken = {case.message for case in INVALID} | {edit.message for edit in EDITS}
    assert set(messages(ROOT)) - broken == set()


def test_the_corpus_is_large_and_names_each_case_once() -> None:
    assert len(INVALID) >= 150
    assert len(VALID) >= 40
    for cases in (INVALID, VALID):
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)
