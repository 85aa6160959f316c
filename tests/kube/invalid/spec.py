"""Objects refused for what is in the object itself, its embedding, chunking, index and rollout."""

from __future__ import annotations

from tests.kube.crd_corpus import Edit, Invalid, bad, number, required, rule, unknown, words

_OPENAI = {"provider": "OpenAI", "model": "text-embedding-3-large", "dimensions": 2001, "elementType": "Vector"}
_VECTOR = "an indexed Vector has at most 2000 dimensions; use elementType HalfVector, or index type None"

OBJECT: tuple[Invalid, ...] = (
    rule(
        "a name of 41 characters",
        {"metadata.name": "h" * 41},
        "metadata",
        "metadata.name must be at most 40 characters; the names of Jobs are made from it",
        local_field="metadata.name",
    ),
    Invalid(
        "a name with a dot",
        {"metadata.name": "hand.book"},
        "metadata",
        'metadata.name must not contain "."; it becomes a part of other names',
        local_field="metadata.name",
    ),
    bad("metadata.name", "Handbook", "lowercase RFC 1123 subdomain"),
    bad("metadata.name", "-handbook", "lowercase RFC 1123 subdomain"),
    bad("metadata.name", "hand_book", "lowercase RFC 1123 subdomain"),
    required("spec"),
    bad("spec", "text", "must be of type object"),
    bad("spec", [], "must be of type object"),
    unknown("spec.embeding", {"provider": "Local"}),
    unknown("spec.phase"),
    unknown("image"),
    bad("spec.suspend", "yes", "must be of type boolean"),
    bad("spec.suspend", 1, "must be of type boolean"),
    *words("spec.deletionPolicy", "Retain", "Delete"),
    bad("spec.deletionPolicy", True, "must be of type string"),
    bad("spec.databaseRef", "default", "must be of type object"),
    bad("spec.databaseRef.name", "", "should be at least 1 chars long"),
    bad("spec.databaseRef.name", "Default", "should match"),
    bad("spec.databaseRef.name", "default-", "should match"),
    bad("spec.databaseRef.name", "db.example.org", "should match"),
    bad("spec.databaseRef.name", "postgresql://db/x", "should match"),
    bad("spec.databaseRef.name", "d" * 64, "Too long"),
    bad("spec.databaseRef.name", 5, "must be of type string"),
    unknown("spec.databaseRef.host", "db.example.org"),
)

EMBEDDING: tuple[Invalid, ...] = (
    required("spec.embedding"),
    bad("spec.embedding", "all-minilm-l6-v2", "must be of type object"),
    required("spec.embedding.provider"),
    required("spec.embedding.model"),
    required("spec.embedding.dimensions"),
    *words("spec.embedding.provider", "Bedrock", "OpenAI", "Local"),
    bad("spec.embedding.model", "", "should be at least 1 chars long"),
    bad("spec.embedding.model", "m" * 257, "Too long"),
    bad("spec.embedding.model", "all minilm", "should match"),
    bad("spec.embedding.model", "-model", "should match"),
    bad("spec.embedding.model", "модель", "should match"),
    bad("spec.embedding.model", "model\n", "should match"),
    bad("spec.embedding.model", 5, "must be of type string"),
    *number("spec.embedding.dimensions", 1, 4000),
    *words("spec.embedding.elementType", "HalfVector", "Vector"),
    *words("spec.embedding.distance", "Cosine", "L2", "InnerProduct"),
    unknown("spec.embedding.dimension", 384),
    unknown("spec.embedding.apiKey", "secret"),
    rule(
        "an endpoint for a provider that has none",
        {"spec.embedding.endpointRef": {"name": "vllm"}},
        "spec.embedding.endpointRef",
        "endpointRef may be set only when provider is OpenAI",
    ),
    Invalid(
        "an endpoint without a name",
        {"spec.embedding.provider": "OpenAI", "spec.embedding.endpointRef": {}},
        "spec.embedding.endpointRef.name",
        "Required value",
    ),
    Invalid(
        "an endpoint by its address",
        {"spec.embedding.provider": "OpenAI", "spec.embedding.endpointRef": {"name": "https://x"}},
        "spec.embedding.endpointRef.name",
        "should match",
    ),
    Invalid(
        "an endpoint with a long name",
        {"spec.embedding.provider": "OpenAI", "spec.embedding.endpointRef": {"name": "e" * 64}},
        "spec.embedding.endpointRef.name",
        "Too long",
    ),
    unknown("spec.embedding.endpointRef.url", "https://x"),
    rule("an indexed Vector too long", {"spec.embedding": _OPENAI}, "spec.embedding.dimensions", _VECTOR),
)

CHUNKING: tuple[Invalid, ...] = (
    bad("spec.chunking", [], "must be of type object"),
    *words("spec.chunking.strategy", "Structural", "Sentence", "Fixed", "Hierarchical", "None"),
    *number("spec.chunking.maxTokens", 32, 8192),
    *number("spec.chunking.overlapTokens", 0, 4096, {"spec.chunking.maxTokens": 8192}),
    unknown("spec.chunking.overlap", 40),
    rule(
        "an overlap as long as the passage",
        {"spec.chunking": {"maxTokens": 64, "overlapTokens": 64}},
        "spec.chunking.overlapTokens",
        "overlapTokens must be less than maxTokens",
    ),
    rule(
        "a passage shorter than the overlap that is the default",
        {"spec.chunking": {"maxTokens": 40}},
        "spec.chunking.overlapTokens",
        "overlapTokens must be less than maxTokens",
    ),
    rule(
        "an overlap longer than the passage that is the default",
        {"spec.chunking": {"overlapTokens": 301}},
        "spec.chunking.overlapTokens",
        "overlapTokens must be less than maxTokens",
    ),
)

_CRON = "should match '^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$'"

INDEX: tuple[Invalid, ...] = (
    bad("spec.index", "HNSW", "must be of type object"),
    *words("spec.index.type", "HNSW", "None"),
    bad("spec.index.hnsw", 16, "must be of type object"),
    *number("spec.index.hnsw.m", 2, 100, {"spec.index.hnsw.efConstruction": 1000}),
    *number("spec.index.hnsw.efConstruction", 4, 1000, {"spec.index.hnsw.m": 2}),
    unknown("spec.index.hnsw.lists", 4),
    unknown("spec.index.ivfflat", {"lists": 4}),
    rule(
        "parameters of an index that is not wanted",
        {"spec.index": {"type": "None", "hnsw": {}}},
        "spec.index.hnsw",
        "hnsw may be set only when type is HNSW",
    ),
    rule(
        "fewer candidates than links need",
        {"spec.index": {"hnsw": {"m": 32, "efConstruction": 63}}},
        "spec.index.hnsw.efConstruction",
        "efConstruction must be at least twice m",
    ),
    rule(
        "more links than the candidates that are the default serve",
        {"spec.index": {"hnsw": {"m": 65}}},
        "spec.index.hnsw.efConstruction",
        "efConstruction must be at least twice m",
    ),
    rule(
        "rebuilding an index that is not wanted",
        {"spec.index": {"type": "None", "rebuildSchedule": "0 3 * * 0"}},
        "spec.index.rebuildSchedule",
        "rebuildSchedule may be set only when type is HNSW",
    ),
    bad("spec.index.rebuildSchedule", "@weekly", "should be at least 9 chars long"),
    bad("spec.index.rebuildSchedule", "every sunday night", _CRON),
    bad("spec.index.rebuildSchedule", "0 3 * * 0 2026", _CRON),
    bad("spec.index.rebuildSchedule", f"0 3 * * {'0,' * 70}0", "Too long"),
    bad("spec.index.rebuildSchedule", ["0 3 * * 0"], "must be of type string"),
)

ROLLOUT: tuple[Invalid, ...] = (
    bad("spec.rollout", "Manual", "must be of type object"),
    *words("spec.rollout.promotion", "Automatic", "Manual"),
    *number("spec.rollout.minDocumentsPercent", 0, 100),
    *number("spec.rollout.retainRevisions", 0, 5),
    *number("spec.rollout.maxEstimatedTokens", 0, 1_000_000_000_000),
    unknown("spec.rollout.strategy", "BlueGreen"),
)

EDITS: tuple[Edit, ...] = (
    Edit(
        "another database",
        {"spec.databaseRef": {"name": "default"}},
        {"spec.databaseRef": {"name": "other"}},
        "spec.databaseRef",
        "databaseRef cannot be changed; create a new RagIndex to move the data",
    ),
    Edit(
        "the database that is the default, after another",
        {"spec.databaseRef": {"name": "other"}},
        {},
        "spec.databaseRef",
        "databaseRef cannot be changed; create a new RagIndex to move the data",
    ),
    Edit(
        "another database, after the one that is the default",
        {},
        {"spec.databaseRef": {"name": "other"}},
        "spec.databaseRef",
        "databaseRef cannot be changed; create a new RagIndex to move the data",
    ),
)
