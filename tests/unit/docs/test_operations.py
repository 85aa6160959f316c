"""The operations manual names everything that an operator of RagIndex meets, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import BaseModel

from ragindex_core.object.reasons import ConditionType, Reason, RequestName
from ragindex_core.reconcile.events import NORMAL, EventReason
from ragindex_operator.allow import AllowRule
from ragindex_operator.cluster.metrics import Metrics
from ragindex_operator.cluster.settings import OperatorEnvironment, WorkerPods

FOLDER = Path(__file__).parents[3] / "docs"
PAGE = (FOLDER / "operations.md").read_text("utf-8")
NAME = re.compile(r"`([^`]+)`")


def rows(section: str) -> list[list[str]]:
    """The cells of all tables below a heading, without their heads."""
    parts = re.split(r"^##+ (.*)\n", PAGE, flags=re.MULTILINE)
    (text,) = (body for heading, body in zip(parts[1::2], parts[2::2], strict=True) if heading == section)
    tables = re.findall(r"^\|.*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named(section: str) -> list[str]:
    """What stands in the first cells."""
    return [name for row in rows(section) for name in NAME.findall(row[0])]


def values(enumeration: Iterable[str]) -> list[str]:
    return sorted(str(member) for member in enumeration)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("Conditions", values(ConditionType)),
        ("Reasons", values(Reason)),
        ("Requests by annotation", values(RequestName)),
        ("Events", values(EventReason)),
    ],
)
def test_the_page_lists_all_there_are_and_each_once(section: str, expected: list[str]) -> None:
    assert sorted(named(section)) == expected


def test_every_reason_says_what_it_means_and_what_to_do() -> None:
    assert [row for row in rows("Reasons") if len(row) != 3 or not all(row)] == []


def test_every_request_has_a_command_that_makes_it() -> None:
    for name, _, example in rows("Requests by annotation"):
        assert f"ragindex.io/{name.strip('`')}" in example


def test_every_event_has_the_type_it_is_told_with() -> None:
    told = {event: row[1] for row in rows("Events") for event in NAME.findall(row[0])}
    assert told == {reason.value: "Normal" if reason in NORMAL else "Warning" for reason in EventReason}


def variables(model: type[BaseModel], prefix: str) -> list[str]:
    return [f"{prefix}{name}".upper() for name in model.model_fields if name != "worker"]


def test_every_setting_is_in_the_table() -> None:
    expected = variables(OperatorEnvironment, "RAGINDEX_") + variables(WorkerPods, "RAGINDEX_WORKER__")
    assert sorted(named("Settings")) == sorted(expected)


def test_every_metric_of_the_operators_own_is_explained() -> None:
    kinds = {metric.name: metric.type for metric in Metrics().registry.collect()}
    own = {name: kind for name, kind in kinds.items() if name.startswith("ragindex_")}
    expected = [f"{name}_total" if kind == "counter" else name for name, kind in own.items()]
    assert sorted(named("Metrics")) == sorted(expected)


def test_every_member_of_a_rule_is_explained() -> None:
    expected = {field.alias or name for name, field in AllowRule.model_fields.items()} - {"namespaces"}
    assert set(named("Rules of the platform owner")) == expected


def test_links_lead_somewhere() -> None:
    anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)}
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert link in anchors or (FOLDER / link).is_file(), link
