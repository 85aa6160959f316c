"""Objects that are accepted, each at an edge of what may be written."""

from __future__ import annotations

from typing import Any

from tests.kube.crd_corpus import Valid


def _embedding(**parts: Any) -> dict[str, Any]:
    return {"spec.embedding": {"provider": "OpenAI", "model": "m", "dimensions": 8, **parts}}


def _source(**parts: Any) -> dict[str, Any]:
    return {"spec.sources": [{"name": "docs", **parts}]}


def _s3(**parts: Any) -> dict[str, Any]:
    return _source(s3={"bucket": "acme-hr", **parts})


_ROUTE = {"provider": "Bedrock", "model": "us.anthropic.claude-haiku-4-5-20251001-v1:0"}

CASES: tuple[Valid, ...] = (
    Valid("the least"),
    Valid("a name of 40 characters", {"metadata.name": "h" * 40}),
    Valid("a name of one character", {"metadata.name": "7"}),
    Valid("labels and annotations of others", {"metadata.labels": {"a": "b"}, "metadata.annotations": {"a/b": "c d"}}),
    Valid("suspended", {"spec.suspend": True}),
    Valid("data that goes with the object", {"spec.deletionPolicy": "Delete"}),
    Valid("a named database", {"spec.databaseRef": {"name": "d" * 63}}),
    Valid("a database left open", {"spec.databaseRef": {}}),
    Valid("the shortest vector", _embedding(dimensions=1)),
    Valid("the longest vector", _embedding(dimensions=4000)),
    Valid("the longest indexed Vector", _embedding(dimensions=2000, elementType="Vector")),
    Valid(
        "a longer Vector without index",
        {**_embedding(dimensions=2001, elementType="Vector"), "spec.index": {"type": "None"}},
    ),
    Valid("a named endpoint", _embedding(endpointRef={"name": "vllm"})),
    Valid(
        "a model by its address", _embedding(model="arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x")
    ),
    Valid("a model of a person's", _embedding(model="org/name@main", distance="L2")),
    Valid("the longest name of a model", _embedding(model="m" * 256, distance="InnerProduct")),
    Valid("the shortest passages", {"spec.chunking": {"maxTokens": 32, "overlapTokens": 31}}),
    Valid("the longest passages", {"spec.chunking": {"maxTokens": 8192, "overlapTokens": 4096}}),
    Valid("no overlap", {"spec.chunking": {"overlapTokens": 0, "strategy": "None"}}),
    Valid("sentences", {"spec.chunking": {"strategy": "Hierarchical"}}),
    Valid("chunking left open", {"spec.chunking": {}}),
    Valid("a graph left open", {"spec.index": {"hnsw": {}}}),
    Valid("the leanest graph", {"spec.index": {"type": "HNSW", "hnsw": {"m": 2, "efConstruction": 4}}}),
    Valid("the richest graph", {"spec.index": {"hnsw": {"m": 100, "efConstruction": 1000}}}),
    Valid("as many links as candidates allow", {"spec.index": {"hnsw": {"m": 64}}}),
    Valid("an index that is rebuilt", {"spec.index": {"rebuildSchedule": "0 3 * * SUN"}}),
    Valid("a whole bucket", _s3()),
    Valid(
        "a bucket in full",
        {
            "spec.sources": [
                {
                    "name": "docs",
                    "s3": {
                        "bucket": "a.b",
                        "prefix": "Handbücher/2026 (neu)/",
                        "region": "us-gov-west-1",
                        "expectedBucketOwner": "000000000001",
                        "queueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/handbook",
                    },
                    "include": ["**/*.{pdf,md}", "Ablage/Übersicht *.docx"],
                    "exclude": ["**/~$*"],
                    "access": {"groups": ["hr", "https://id.example.org/groups/personal", "Ä"]},
                }
            ]
        },
    ),
    Valid("the longest name of a bucket", _s3(bucket="b" * 63)),
    Valid("the longest prefix", _s3(prefix="ü" * 1024)),
    Valid("a ConfigMap", _source(configMap={"name": "hr-notes.v2"})),
    Valid("the longest name of a ConfigMap", _source(configMap={"name": "n" * 253})),
    Valid("uploads", _source(uploads={})),
    Valid("a folder with dots", _source(directory={"path": "/data/..hidden/a..b/..."})),
    Valid("the longest path", _source(directory={"path": "p" * 1024})),
    Valid(
        "as many sources as may be",
        {"spec.sources": [{"name": f"s{n}", "configMap": {"name": "x"}} for n in range(32)]},
    ),
    Valid(
        "a source of each kind",
        {
            "spec.sources": [
                {"name": "a", "s3": {"bucket": "acme"}},
                {"name": "b", "configMap": {"name": "x"}},
                {"name": "c", "directory": {"path": "x"}},
                {"name": "d", "uploads": {}},
            ]
        },
    ),
    Valid("as many globs as may be", _source(uploads={}, include=["*" * 256] * 32, exclude=["x"] * 32)),
    Valid("as many groups as may be", _source(uploads={}, access={"groups": ["ß" * 256] * 64})),
    Valid("empty lists", _source(uploads={}, include=[], exclude=[])),
    Valid(
        "a schedule",
        {"spec.ingestion": {"schedule": "*/30 8-18 1,15 JAN-JUN *", "timeZone": "America/Argentina/Buenos_Aires"}},
    ),
    Valid("the shortest schedule", {"spec.ingestion": {"schedule": "* * * * *", "timeZone": "UTC"}}),
    Valid(
        "the least of ingestion",
        {
            "spec.ingestion": {
                "parallelism": 1,
                "maxAttemptsPerDocument": 1,
                "maxObjectBytes": 1,
                "maxDeletePercent": 0,
            }
        },
    ),
    Valid(
        "the most of ingestion",
        {
            "spec.ingestion": {
                "parallelism": 64,
                "maxAttemptsPerDocument": 20,
                "maxObjectBytes": 1_073_741_824,
                "maxDeletePercent": 100,
                "onSourceDeletion": "Keep",
            }
        },
    ),
    Valid(
        "resources as text and as numbers",
        {
            "spec.ingestion.resources": {
                "requests": {"cpu": "500m", "memory": "1.5Gi", "ephemeral-storage": 1073741824},
                "limits": {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1, "hugepages-2Mi": 0},
            }
        },
    ),
    Valid("resources left open", {"spec.ingestion.resources": {"requests": {}, "limits": {}}}),
    Valid(
        "a node selector",
        {
            "spec.ingestion.nodeSelector": {
                "kubernetes.io/arch": "arm64",
                "Disk_Type": "",
                "a.b-c.d/E.f_g-h": "X",
                "k" * 63: "v" * 63,
                f"{'d.' * 95}d/{'k' * 61}": "x",
            }
        },
    ),
    Valid(
        "a rollout by hand", {"spec.rollout": {"promotion": "Manual", "minDocumentsPercent": 100, "retainRevisions": 5}}
    ),
    Valid(
        "a rollout that approves nothing",
        {
            "spec.rollout": {
                "maxEstimatedTokens": 0,
                "retainRevisions": 0,
                "minDocumentsPercent": 0,
            }
        },
    ),
    Valid("a rollout that approves everything", {"spec.rollout": {"maxEstimatedTokens": 1_000_000_000_000}}),
    Valid("as few candidates as results", {"spec.retrieval": {"topK": 100, "efSearch": 100}}),
    Valid(
        "retrieval by words",
        {"spec.retrieval": {"mode": "Keyword", "fusion": "RRF", "vectorWeight": 0, "efSearch": 1000}},
    ),
    Valid("one result", {"spec.retrieval": {"topK": 1, "efSearch": 1, "vectorWeight": 100}}),
    Valid("reranking", {"spec.retrieval.rerank": {"provider": "Bedrock", "model": "cohere.rerank-v3-5:0"}}),
    Valid("reranking left open", {"spec.retrieval.rerank": {}}),
    Valid(
        "answers",
        {
            "spec.generation": {
                "routes": [_ROUTE, {"provider": "OpenAI", "model": "gpt", "endpointRef": {"name": "vllm"}}],
                "maxTokens": 32768,
                "guardrail": {"id": "abc123", "version": "DRAFT"},
                "language": "pt-BR",
            }
        },
    ),
    Valid("as many routes as may be", {"spec.generation": {"routes": [_ROUTE] * 8, "maxTokens": 1}}),
    Valid("a guardrail by its version", {"spec.generation.guardrail": {"id": "g" * 64, "version": "12345678"}}),
    Valid("a language of three letters", {"spec.generation.language": "gsw-CH-1996"}),
    Valid("null for an object with defaults", {"spec.chunking": None, "spec.ingestion": None, "spec.suspend": None}),
    Valid("null for what may be left out", {"spec.index": {"hnsw": None}, "spec.generation": {"language": None}}),
    Valid(
        "null for the kinds a source is not of", _source(uploads={}, s3=None, configMap=None, access=None, include=None)
    ),
    Valid("null for a value of a mapping", {"spec.ingestion": {"nodeSelector": {"a": None, "b": "c"}}}),
)
