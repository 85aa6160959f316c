"""Reading an object as a person wrote it, and telling what is wrong in words that help."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.errors import FieldProblem, InvalidSpec
from ragindex_core.object.check import check, check_edit
from ragindex_core.object.resource import knowledge_base_id, parse
from ragindex_core.object.spec import ElementType, IndexType

LEAST = """
apiVersion: ragindex.io/v1alpha1
kind: RagIndex
metadata: {name: handbook}
spec:
  embedding: {provider: Local, model: all-minilm-l6-v2, dimensions: 384}
  sources:
  - {name: docs, directory: {path: ./docs}}
"""

EVERYTHING = """
apiVersion: ragindex.io/v1alpha1
kind: RagIndex
metadata: {name: handbook, namespace: hr}
spec:
  suspend: false
  deletionPolicy: Retain
  databaseRef: {name: default}
  embedding:
    {provider: Bedrock, model: "amazon.titan-embed-text-v2:0", dimensions: 1024, elementType: HalfVector,
     distance: Cosine}
  chunking: {strategy: Structural, maxTokens: 300, overlapTokens: 40}
  index: {type: HNSW, hnsw: {m: 16, efConstruction: 128}}
  sources:
  - name: docs
    s3: {bucket: acme-hr, prefix: handbook/, region: eu-central-1, expectedBucketOwner: "123456789012"}
    include: ["**/*.pdf"]
    exclude: []
    access: {groups: [hr]}
  - {name: notes, configMap: {name: hr-notes}}
  - {name: files, directory: {path: ./docs}}
  - {name: uploads, uploads: {}}
  ingestion:
    schedule: "*/30 * * * *"
    timeZone: Etc/UTC
    parallelism: 4
    maxAttemptsPerDocument: 5
    maxObjectBytes: 104857600
    onSourceDeletion: Delete
    maxDeletePercent: 50
    resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 2}}
    nodeSelector: {kubernetes.io/arch: arm64}
  rollout: {promotion: Automatic, minDocumentsPercent: 95, retainRevisions: 1, maxEstimatedTokens: 50000000}
  retrieval: {mode: Hybrid, topK: 8, vectorWeight: 70, efSearch: 100, rerank: {provider: None}}
  generation: {routes: [{provider: Bedrock, model: "us.anthropic.claude-haiku-4-5-20251001-v1:0"}], maxTokens: 1024}
"""


def document(text: str = LEAST) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def with_field(path: str, value: Any, text: str = LEAST) -> dict[str, Any]:
    """The least object with one field set; a path part may be the position in a list."""
    changed = document(text)
    node: Any = changed
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    node[int(last) if last.isdigit() else last] = value
    return changed


def problems(changed: object) -> dict[str, str]:
    with pytest.raises(InvalidSpec) as raised:
        parse(changed, "handbook.yaml")
    return {problem.field: problem.message for problem in raised.value.problems}


def test_the_least_object_has_the_documented_defaults() -> None:
    index = parse(document(), "handbook.yaml")
    wire = index.to_wire()
    full = document(EVERYTHING)["spec"]
    for part in ("suspend", "deletionPolicy", "databaseRef", "chunking", "rollout"):
        assert wire["spec"][part] == full[part]
    for part in ("ingestion", "retrieval"):
        for name, value in wire["spec"][part].items():
            if name not in ("resources", "nodeSelector", "fusion"):
                assert full[part][name] == value, f"{part}.{name}"
    assert wire["spec"]["embedding"]["elementType"] == "HalfVector"
    assert wire["spec"]["generation"] == {"routes": [], "maxTokens": 1024}
    assert wire["metadata"]["namespace"] == "default"
    graph = index.spec.index.graph
    assert graph is not None
    assert (graph.m, graph.ef_construction) == (16, 128)
    assert "timeZone" not in wire["spec"]["ingestion"]


def test_what_is_written_out_reads_back_the_same() -> None:
    index = parse(document(EVERYTHING), "handbook.yaml")
    assert check(index.spec) == []
    wire = json.loads(json.dumps(index.to_wire()))
    assert parse(wire, "catalogue") == index
    assert wire["spec"]["sources"][0]["s3"]["expectedBucketOwner"] == "123456789012"
    assert wire["spec"]["ingestion"]["resources"]["limits"] == {"cpu": "2"}


def test_a_null_means_the_default_as_it_does_for_the_api_server() -> None:
    assert parse(with_field("spec.chunking", None), "x") == parse(document(), "x")


def test_metadata_of_kubernetes_that_nobody_needs_is_passed_over() -> None:
    parse(with_field("metadata.managedFields", [{"manager": "kubectl"}]), "x")


def test_an_error_names_the_file() -> None:
    with pytest.raises(InvalidSpec, match=r"^handbook\.yaml: spec\.suspend: must be true or false"):
        parse(with_field("spec.suspend", "yes"), "handbook.yaml")


def test_every_problem_is_told_at_once() -> None:
    changed = with_field("spec.chunking", {"maxTokens": 9000, "strategy": "Clever"})
    changed["spec"]["sources"][0]["name"] = "Docs"
    assert set(problems(changed)) == {"spec.chunking.maxTokens", "spec.chunking.strategy", "spec.sources[0].name"}


@pytest.mark.parametrize(
    ("path", "value", "field", "said"),
    [
        ("apiVersion", "ragindex.io/v1", "apiVersion", "must be ragindex.io/v1alpha1"),
        ("kind", "RagIndx", "kind", "must be RagIndex"),
        ("metadata.name", "Handbook", "metadata.name", "lower-case"),
        ("metadata.name", "h" * 41, "metadata.name", "at most 40 characters"),
        ("spec.embeding", {}, "spec.embeding", "did you mean embedding?"),
        ("spec.embedding.dimension", 3, "spec.embedding.dimension", "did you mean dimensions?"),
        ("spec.sources.0.directory.pth", "x", "spec.sources[0].directory.pth", "did you mean path?"),
        ("spec.index", {"hnsw": {"lists": 4}}, "spec.index.hnsw.lists", "known here: m, efConstruction"),
        (
            "spec.generation.routes",
            [{"provider": "OpenAI", "model": "m", "url": "x"}],
            "spec.generation.routes[0].url",
            "known here: provider, model, endpointRef",
        ),
        (
            "spec.sources.0",
            {"name": "up", "uploads": {"limit": 3}},
            "spec.sources[0].uploads.limit",
            "nothing may be set",
        ),
        ("spec.embedding.dimensions", "384", "spec.embedding.dimensions", "without quotes"),
        ("spec.embedding.dimensions", 384.0, "spec.embedding.dimensions", "whole number"),
        ("spec.embedding.dimensions", True, "spec.embedding.dimensions", "whole number"),
        ("spec.embedding.dimensions", 4001, "spec.embedding.dimensions", "at most 4000"),
        ("spec.embedding.provider", "local", "spec.embedding.provider", "must be Bedrock, OpenAI or Local"),
        ("spec.embedding.model", 5, "spec.embedding.model", "must be text"),
        ("spec.embedding.model", "a b", "spec.embedding.model", "identifier of a model"),
        ("spec.embedding.endpointRef", {"name": "x"}, "spec.embedding.endpointRef", "only when provider is OpenAI"),
        ("spec.chunking.overlapTokens", 300, "spec.chunking.overlapTokens", "must be less than maxTokens"),
        ("spec.chunking.maxTokens", 31, "spec.chunking.maxTokens", "at least 32"),
        ("spec.index", {"type": "None", "hnsw": {}}, "spec.index.hnsw", "only when type is HNSW"),
        (
            "spec.index",
            {"type": "None", "rebuildSchedule": "0 3 * * 0"},
            "spec.index.rebuildSchedule",
            "only when type is HNSW",
        ),
        ("spec.index", {"hnsw": {"m": 65}}, "spec.index.hnsw.efConstruction", "at least twice m"),
        ("spec.index", {"type": "IVFFlat"}, "spec.index.type", "must be HNSW or None"),
        ("spec.sources", [], "spec.sources", "at least 1 entries"),
        ("spec.sources", {}, "spec.sources", "must be a list"),
        ("spec.sources.0.uploads", {}, "spec.sources[0]", "exactly one of s3, configMap, directory and uploads"),
        ("spec.sources.0.directory.path", "../secrets", "spec.sources[0].directory.path", '".."'),
        ("spec.sources.0.access", {"groups": []}, "spec.sources[0].access.groups", "at least 1"),
        ("spec.sources.0.include", ["x" * 257], "spec.sources[0].include[0]", "at most 256 characters"),
        ("spec.sources.0", {"name": "s", "s3": {"bucket": "b"}}, "spec.sources[0].s3.bucket", "at least 3"),
        (
            "spec.sources.0",
            {"name": "s", "s3": {"bucket": "bbb", "expectedBucketOwner": 123456789012}},
            "spec.sources[0].s3.expectedBucketOwner",
            "in quotes",
        ),
        ("spec.ingestion.schedule", "0 3 * * *", "spec.ingestion.timeZone", "schedule needs timeZone"),
        ("spec.ingestion.timeZone", "Etc/UTC", "spec.ingestion.timeZone", "only together with schedule"),
        ("spec.ingestion.schedule", "hourly", "spec.ingestion.schedule", "at least 9 characters"),
        ("spec.ingestion.schedule", "every 5 minutes", "spec.ingestion.schedule", "five cron fields"),
        ("spec.ingestion.maxDeletePercent", 101, "spec.ingestion.maxDeletePercent", "at most 100"),
        ("spec.ingestion.resources", {"limits": {"cpu": "lots"}}, "spec.ingestion.resources.limits.cpu", "quantity"),
        ("spec.ingestion.nodeSelector", {"a b": "c"}, "spec.ingestion.nodeSelector.a b", "label key"),
        ("spec.rollout.retainRevisions", 6, "spec.rollout.retainRevisions", "at most 5"),
        ("spec.retrieval.topK", 101, "spec.retrieval.topK", "at most 100"),
        ("spec.retrieval", {"topK": 50, "efSearch": 20}, "spec.retrieval.efSearch", "at least topK"),
        ("spec.retrieval.rerank", {"provider": "Bedrock"}, "spec.retrieval.rerank.model", "exactly when"),
        ("spec.generation.routes", [{"provider": "Bedrock"}], "spec.generation.routes[0].model", "is required"),
        ("spec.generation.language", "English", "spec.generation.language", "BCP 47"),
        ("spec.generation.guardrail", {"id": "abc", "version": "latest"}, "spec.generation.guardrail.version", "DRAFT"),
    ],
)
def test_a_mistake_is_told_where_it_is_and_how_to_mend_it(path: str, value: Any, field: str, said: str) -> None:
    found = problems(with_field(path, value))
    assert set(found) == {field}
    assert said in found[field]


@pytest.mark.parametrize("missing", ["embedding", "sources"])
def test_what_must_be_there_is_asked_for(missing: str) -> None:
    changed = document()
    del changed["spec"][missing]
    assert problems(changed) == {f"spec.{missing}": "is required"}


def test_two_sources_of_one_name_are_refused() -> None:
    changed = document()
    changed["spec"]["sources"] *= 2
    assert problems(changed) == {"spec.sources[1].name": 'a second source named "docs"'}


def test_only_one_source_takes_uploads() -> None:
    changed = with_field("spec.sources", [{"name": "a", "uploads": {}}, {"name": "b", "uploads": {}}])
    assert problems(changed) == {"spec.sources": "at most one source may be uploads"}


def test_a_plain_vector_is_indexed_up_to_2000_dimensions() -> None:
    embedding = {"provider": "OpenAI", "model": "big", "dimensions": 2001, "elementType": "Vector"}
    assert "2000" in problems(with_field("spec.embedding", embedding))["spec.embedding.dimensions"]
    fine = with_field("spec.embedding", embedding)
    fine["spec"]["index"] = {"type": "None"}
    spec = parse(fine, "x").spec
    assert (spec.embedding.element_type, spec.index.type) == (ElementType.VECTOR, IndexType.NONE)


@pytest.mark.parametrize("nonsense", [None, "text", [1], 5])
def test_what_is_no_mapping_is_no_object(nonsense: object) -> None:
    assert "RagIndex" in problems(nonsense)[""]


@pytest.mark.parametrize(
    ("embedding", "wrong"),
    [
        ({"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 512}, True),
        ({"provider": "Bedrock", "model": "amazon.titan-embed-text-v2:0", "dimensions": 256}, False),
        ({"provider": "Bedrock", "model": "amazon.titan-embed-text-v2:0", "dimensions": 1536}, True),
        ({"provider": "Bedrock", "model": "cohere.embed-v4:0", "dimensions": 1536}, False),
        ({"provider": "Bedrock", "model": "us.cohere.embed-v4:0", "dimensions": 300}, True),
        ({"provider": "Bedrock", "model": "cohere.embed-multilingual-v3", "dimensions": 1024}, False),
        ({"provider": "OpenAI", "model": "amazon.titan-embed-text-v2:0", "dimensions": 77}, False),
        ({"provider": "OpenAI", "model": "a-model-of-tomorrow", "dimensions": 77}, False),
    ],
)
def test_a_known_model_gives_only_its_own_dimensions(embedding: dict[str, Any], wrong: bool) -> None:
    found = check(parse(with_field("spec.embedding", embedding), "x").spec)
    assert [problem.field for problem in found] == (["spec.embedding.dimensions"] if wrong else [])


@pytest.mark.parametrize(
    ("part", "schedule", "field"),
    [
        ("ingestion", {"schedule": "0 25 * * *", "timeZone": "Etc/UTC"}, "spec.ingestion.schedule"),
        ("ingestion", {"schedule": "0 2 * * *", "timeZone": "Mars/Olympus"}, "spec.ingestion.timeZone"),
        ("index", {"rebuildSchedule": "0 3 32 * *"}, "spec.index.rebuildSchedule"),
    ],
)
def test_what_no_schema_sees_of_a_schedule(part: str, schedule: dict[str, str], field: str) -> None:
    assert [p.field for p in check(parse(with_field(f"spec.{part}", schedule), "x").spec)] == [field]


def test_the_database_cannot_be_changed_by_an_edit() -> None:
    old = parse(document(), "x").spec
    assert check_edit(old, old) == []
    moved = parse(with_field("spec.databaseRef", {"name": "other"}), "x").spec
    assert [problem.field for problem in check_edit(moved, old)] == ["spec.databaseRef"]


def test_a_knowledge_base_id_is_stable_and_has_ten_characters() -> None:
    ids = {knowledge_base_id(f"uid-{number}") for number in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 10 and i.isascii() and i.isalnum() and i == i.upper() for i in ids)
    assert knowledge_base_id("5b0e") == "R77C3S3WCZ"


paths = st.sampled_from(
    [
        "spec",
        "spec.embedding",
        "spec.embedding.model",
        "spec.index",
        "spec.index.hnsw",
        "spec.sources",
        "spec.sources.0",
        "spec.sources.0.name",
        "spec.ingestion.resources",
        "spec.generation.routes",
        "metadata",
        "metadata.annotations",
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(paths, anything)
def test_whatever_yaml_holds_is_read_or_refused_with_a_field(path: str, value: Any) -> None:
    found: tuple[FieldProblem, ...] = ()
    try:
        parse(with_field(path, value), "x")
    except InvalidSpec as error:
        found = error.problems
    assert [problem for problem in found if not problem.field or not problem.message] == []


def test_a_parsed_object_does_not_share_the_document() -> None:
    source = document(EVERYTHING)
    before = copy.deepcopy(source)
    parse(source, "x")
    assert source == before
