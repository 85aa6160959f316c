"""What the platform owner's rules let an object name and ask for, and what they refuse in words."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ragindex_core.object.resource import RagIndex
from ragindex_operator.allow import AllowRules, refusals, within

READ = TypeAdapter[AllowRules](AllowRules)
LOCAL: dict[str, Any] = {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384}
OPENAI: dict[str, Any] = {"provider": "OpenAI", "model": "nomic", "dimensions": 768}
UPLOADS: dict[str, Any] = {"name": "uploads", "uploads": {}}
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/hr-docs"
QUEUES = "https://sqs.*.amazonaws.com/123456789012/hr-*"
VOLUMES = PurePosixPath("/sources")
ELSEWHERE = "https://sqs.evil.example/.amazonaws.com/123456789012/hr-docs"


def index(namespace: str = "hr", **parts: Any) -> RagIndex:
    spec = {"embedding": LOCAL, "sources": [UPLOADS], **parts}
    return RagIndex.model_validate({"metadata": {"name": "handbook", "namespace": namespace}, "spec": spec})


def source(**kind: Any) -> dict[str, Any]:
    return {"sources": [UPLOADS, {"name": "docs", **kind}]}


def refused(rule: dict[str, Any], **parts: Any) -> list[tuple[str, str]]:
    """What one rule for all namespaces and databases refuses of a spec."""
    rules = READ.validate_python([{"namespaces": ["*"], "databases": ["*"], **rule}])
    return [(problem.field, problem.message) for problem in refusals(rules, index(**parts), VOLUMES)]


@pytest.mark.parametrize("path", ["/sources", "./handbook", "handbook", "/sources/hr"])
def test_without_rules_everything_is_allowed_that_the_installation_has(path: str) -> None:
    all_of_it: dict[str, Any] = {
        "embedding": OPENAI,
        "databaseRef": {"name": "other"},
        "ingestion": {"parallelism": 64},
    }
    assert refusals((), index(**source(directory={"path": path}), **all_of_it), VOLUMES) == ()


@pytest.mark.parametrize("path", ["/", "/proc/self", "/var/run/secrets", "/sources-of-others"])
def test_the_workers_own_file_system_is_never_a_source(path: str) -> None:
    (refusal,) = refusals((), index(**source(directory={"path": path})), VOLUMES)
    assert refusal.field == "spec.sources[1].directory.path"
    assert refusal.message == f"folder {path} is not allowed in this namespace; allowed: /sources"


def test_rules_that_do_not_name_a_namespace_allow_nothing_in_it() -> None:
    rules = READ.validate_python([{"namespaces": ["it", "law-*"], "databases": ["*"]}])
    (refusal,) = refusals(rules, index("hr"), VOLUMES)
    assert str(refusal) == "metadata.namespace: no RagIndex is allowed in namespace hr"
    assert refusals(rules, index("it"), VOLUMES) == ()
    assert refusals(rules, index("law-eu"), VOLUMES) == ()


def test_the_first_rule_that_names_the_namespace_decides() -> None:
    rules = READ.validate_python(
        [{"namespaces": ["hr"], "databases": ["people"]}, {"namespaces": ["*"], "databases": ["*"]}]
    )
    assert [problem.field for problem in refusals(rules, index("hr"), VOLUMES)] == ["spec.databaseRef.name"]
    assert refusals(rules, index("it"), VOLUMES) == ()


def test_rules_are_read_from_json_as_values_of_a_chart_hold_them() -> None:
    (rule,) = READ.validate_json(
        """[{"namespaces": ["hr"], "databases": ["default"], "endpoints": ["cloud"],
             "s3": [{"bucket": "acme-hr", "prefix": "handbook/"}], "queues": [], "directories": ["/data/hr"],
             "nodeSelector": {"kubernetes.io/arch": ["arm64"]}, "maxParallelism": 4,
             "maxResources": {"cpu": 2, "memory": "4Gi"}, "maxObjectBytes": 1048576}]"""
    )
    assert (rule.max_parallelism, rule.max_resources) == (4, {"cpu": "2", "memory": "4Gi"})


@pytest.mark.parametrize(
    "mistake",
    [
        {"database": ["default"]},
        {"directories": ["data"]},
        {"directories": ["/data/../etc"]},
        {"maxParallelism": 0},
        {"maxResources": {"cpu": "two"}},
        {"namespaces": []},
    ],
)
def test_a_rule_that_cannot_be_meant_is_not_read(mistake: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        READ.validate_python([{"namespaces": ["hr"], **mistake}])


S3 = {
    "s3": [{"bucket": "acme-*", "prefix": "hr/"}, {"bucket": "public"}],
    "queues": [QUEUES],
}


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        ({"databases": ["def*"]}, {}),
        ({"endpoints": ["cloud"]}, {"embedding": {**OPENAI, "endpointRef": {"name": "cloud"}}}),
        ({"endpoints": ["*"]}, {"embedding": OPENAI, "generation": {"routes": [{"provider": "OpenAI", "model": "m"}]}}),
        ({}, {"generation": {"routes": [{"provider": "Bedrock", "model": "m"}]}}),
        (S3, source(s3={"bucket": "acme-docs", "prefix": "hr/handbook/"})),
        (S3, source(s3={"bucket": "public"})),
        (S3, source(s3={"bucket": "public", "queueUrl": QUEUE})),
        ({"directories": ["/data/hr"]}, source(directory={"path": "/data/hr"})),
        ({"directories": ["/data/hr/"]}, source(directory={"path": "/data//./hr/2026"})),
        ({"directories": ["/sources/hr"]}, source(directory={"path": "hr/handbook"})),
        ({}, source(configMap={"name": "notes"})),
        ({"maxParallelism": 8}, {"ingestion": {"parallelism": 8}}),
        ({"maxObjectBytes": 1000}, {"ingestion": {"maxObjectBytes": 1000}}),
        ({}, {"ingestion": {"resources": {"limits": {"cpu": 64}}}}),
        (
            {"maxResources": {"cpu": "2", "memory": "4Gi"}},
            {"ingestion": {"resources": {"requests": {"cpu": "1999m"}, "limits": {"cpu": 2, "memory": "4096Mi"}}}},
        ),
        ({"nodeSelector": {"disk": ["ssd", "nvme-*"]}}, {"ingestion": {"nodeSelector": {"disk": "nvme-1"}}}),
    ],
)
def test_what_a_rule_lists_is_allowed(rule: dict[str, Any], parts: dict[str, Any]) -> None:
    assert refused(rule, **parts) == []


@pytest.mark.parametrize(
    ("rule", "parts", "field", "message"),
    [
        (
            {"databases": ["people", "staff-*"]},
            {},
            "spec.databaseRef.name",
            "database default is not allowed in this namespace; allowed: people, staff-*",
        ),
        (
            {},
            {"embedding": {**OPENAI, "endpointRef": {"name": "cloud"}}},
            "spec.embedding.endpointRef.name",
            "endpoint cloud is not allowed in this namespace; allowed: none",
        ),
        (
            {"endpoints": ["cloud"]},
            {"embedding": OPENAI},
            "spec.embedding.endpointRef",
            "leaving it out is not allowed in this namespace; allowed: cloud",
        ),
        (
            {"endpoints": ["cloud"]},
            {
                "generation": {
                    "routes": [
                        {"provider": "Bedrock", "model": "m"},
                        {"provider": "OpenAI", "model": "m", "endpointRef": {"name": "own"}},
                    ]
                }
            },
            "spec.generation.routes[1].endpointRef.name",
            "endpoint own is not allowed in this namespace; allowed: cloud",
        ),
        (
            S3,
            source(s3={"bucket": "acme-docs"}),
            "spec.sources[1].s3",
            "s3://acme-docs/ is not allowed in this namespace; allowed: s3://acme-*/hr/, s3://public/",
        ),
        (
            S3,
            source(s3={"bucket": "other", "prefix": "hr/"}),
            "spec.sources[1].s3",
            "s3://other/hr/ is not allowed in this namespace; allowed: s3://acme-*/hr/, s3://public/",
        ),
        (
            S3,
            source(s3={"bucket": "acme-docs", "prefix": "hr"}),
            "spec.sources[1].s3",
            "s3://acme-docs/hr is not allowed in this namespace; allowed: s3://acme-*/hr/, s3://public/",
        ),
        (
            S3,
            source(s3={"bucket": "public", "queueUrl": ELSEWHERE}),
            "spec.sources[1].s3.queueUrl",
            f"queue {ELSEWHERE} is not allowed in this namespace; allowed: {QUEUES}",
        ),
        (
            {"directories": ["/data"]},
            source(directory={"path": "/data-secret"}),
            "spec.sources[1].directory.path",
            "folder /data-secret is not allowed in this namespace; allowed: /data",
        ),
        (
            {},
            source(directory={"path": "./docs"}),
            "spec.sources[1].directory.path",
            "folder /sources/docs is not allowed in this namespace; allowed: none",
        ),
        (
            {"maxParallelism": 2},
            {},
            "spec.ingestion.parallelism",
            "4 is more than is allowed in this namespace; at most 2",
        ),
        (
            {"maxObjectBytes": 1000},
            {"ingestion": {"maxObjectBytes": 1001}},
            "spec.ingestion.maxObjectBytes",
            "1001 is more than is allowed in this namespace; at most 1000",
        ),
        (
            {"maxResources": {"memory": "4Gi"}},
            {"ingestion": {"resources": {"limits": {"memory": "4097Mi"}}}},
            "spec.ingestion.resources.limits.memory",
            "4097Mi is more than is allowed in this namespace; at most 4Gi",
        ),
        (
            {"maxResources": {"memory": "4Gi", "cpu": "2"}},
            {"ingestion": {"resources": {"requests": {"nvidia.com/gpu": 1}}}},
            "spec.ingestion.resources.requests.nvidia.com/gpu",
            "resource nvidia.com/gpu is not allowed in this namespace; allowed: memory, cpu",
        ),
        (
            {"nodeSelector": {"disk": ["ssd"]}},
            {"ingestion": {"nodeSelector": {"disk": "nvme"}}},
            "spec.ingestion.nodeSelector.disk",
            "value nvme is not allowed in this namespace; allowed: ssd",
        ),
        (
            {},
            {"ingestion": {"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}}},
            "spec.ingestion.nodeSelector.node-role.kubernetes.io/control-plane",
            "label node-role.kubernetes.io/control-plane is not allowed in this namespace; allowed: none",
        ),
    ],
)
def test_what_a_rule_does_not_list_is_refused_by_its_field(
    rule: dict[str, Any], parts: dict[str, Any], field: str, message: str
) -> None:
    assert refused(rule, **parts) == [(field, message)]


def test_every_refusal_is_told_at_once() -> None:
    parts = {**source(directory={"path": "/etc"}), "embedding": OPENAI, "ingestion": {"parallelism": 9}}
    assert [field for field, _ in refused({"databases": [], "maxParallelism": 1}, **parts)] == [
        "spec.databaseRef.name",
        "spec.embedding.endpointRef",
        "spec.sources[1].directory.path",
        "spec.ingestion.parallelism",
    ]


names = st.sampled_from(["data", "data-secret", "hr", "..", ".", "", "a", "..."])
paths = st.lists(names, max_size=6).map(lambda parts: "/" + "/".join(parts))
roots = st.lists(st.sampled_from(["data", "data-secret", "hr", ""]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)


@settings(deadline=None)
@given(paths, roots)
def test_a_folder_that_counts_as_within_a_root_lies_there_for_the_file_system_too(path: str, root: str) -> None:
    if within(path, root):
        there = PurePosixPath("/" + posixpath.normpath(path).lstrip("/"))
        assert there.is_relative_to("/" + posixpath.normpath(root).lstrip("/"))


@settings(deadline=None)
@given(roots, st.lists(names.filter(lambda name: name != ".."), max_size=4))
def test_whatever_lies_below_a_root_without_climbing_is_within_it(root: str, below: list[str]) -> None:
    assert within("/".join([root, *below]), root)


@pytest.mark.parametrize("path", ["/data/../etc", "/data/hr/..", "data", "../data", "/dat", "/", "/DATA"])
def test_a_folder_elsewhere_is_not_within_the_root(path: str) -> None:
    assert not within(path, "/data")
