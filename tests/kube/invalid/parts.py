"""Objects refused for what is in their sources, ingestion, retrieval and generation."""

from __future__ import annotations

from typing import Any

from tests.kube.crd_corpus import Invalid, bad, number, required, rule, unknown, words

_ONE_KIND = "exactly one of s3, configMap, directory and uploads must be set"
_S3 = {"bucket": "acme-hr"}


def _source(**parts: Any) -> dict[str, Any]:
    return {"spec.sources": [{"name": "docs", **parts}]}


def _s3(field: str, value: Any, message: str) -> Invalid:
    return Invalid(
        f"s3.{field} {value!r:.40}", _source(s3={**_S3, field: value}), f"spec.sources[0].s3.{field}", message
    )


SOURCES: tuple[Invalid, ...] = (
    required("spec.sources"),
    bad("spec.sources", [], "should have at least 1 items"),
    bad("spec.sources", {"docs": {"uploads": {}}}, 'unknown field "spec.sources.docs"'),
    bad(
        "spec.sources", [{"name": f"s{n}", "directory": {"path": "x"}} for n in range(33)], "must have at most 32 items"
    ),
    bad("spec.sources[0]", "docs", "must be of type object"),
    Invalid(
        "two sources of one name",
        {"spec.sources": [{"name": "a", "directory": {"path": "x"}}, {"name": "a", "directory": {"path": "y"}}]},
        "spec.sources[1]",
        "Duplicate value",
        local_field="spec.sources[1].name",
    ),
    rule(
        "two sources of uploads",
        {"spec.sources": [{"name": "a", "uploads": {}}, {"name": "b", "uploads": {}}]},
        "spec.sources",
        "at most one source may be uploads",
    ),
    required("spec.sources[0].name", {"spec.sources": [{"uploads": {}}]}),
    bad("spec.sources[0].name", "", "should be at least 1 chars long"),
    bad("spec.sources[0].name", "Docs", "should match"),
    bad("spec.sources[0].name", "docs_", "should match"),
    bad("spec.sources[0].name", "d" * 41, "Too long"),
    bad("spec.sources[0].name", 1, "must be of type string"),
    unknown("spec.sources[0].type", "Directory"),
    unknown("spec.sources[0].http", {"urls": ["https://x"]}),
    rule("a source of no kind", _source(), "spec.sources[0]", _ONE_KIND),
    rule("a source of two kinds", _source(s3=_S3, uploads={}), "spec.sources[0]", _ONE_KIND),
    rule(
        "a source of every kind",
        _source(s3=_S3, uploads={}, directory={"path": "x"}, configMap={"name": "x"}),
        "spec.sources[0]",
        _ONE_KIND,
    ),
    Invalid("a bucket left out", _source(s3={}), "spec.sources[0].s3.bucket", "Required value"),
    _s3("bucket", "ab", "should be at least 3 chars long"),
    _s3("bucket", "Acme", "should match"),
    _s3("bucket", "acme_hr", "should match"),
    _s3("bucket", "b" * 64, "Too long"),
    _s3("bucket", "arn:aws:s3:::acme", "should match"),
    _s3("prefix", "p" * 1025, "Too long"),
    _s3("prefix", 7, "must be of type string"),
    _s3("region", "Frankfurt", "should match"),
    _s3("region", "eu-central-1a", "should match"),
    _s3("region", "", "should be at least 1 chars long"),
    _s3("region", "eu-" + "x" * 40 + "-1", "Too long"),
    _s3("expectedBucketOwner", 123456789012, "must be of type string"),
    _s3("expectedBucketOwner", "12345678901", "should be at least 12 chars long"),
    _s3("expectedBucketOwner", "1234567890123", "Too long"),
    _s3("expectedBucketOwner", "12345678901x", "should match"),
    _s3("expectedBucketOwner", "١٢٣٤٥٦٧٨٩٠١٢", "should match"),
    _s3("queueUrl", "http://sqs.eu-central-1.amazonaws.com/1/q", "should match"),
    _s3("queueUrl", "https://user@sqs.example.org/q", "should match"),
    _s3("queueUrl", "https://sqs.example.org/q?x=1", "should match"),
    _s3("queueUrl", "https://sqs.example.org/q#x", "should match"),
    _s3("queueUrl", "https://sqs.example.org/a b", "should match"),
    _s3("queueUrl", "https://sqs.example.org/a\u00a0b", "should match"),
    _s3("queueUrl", "https://", "should be at least 9 chars long"),
    _s3("queueUrl", f"https://{'q' * 1020}", "Too long"),
    Invalid(
        "s3.endpoint unknown",
        _source(s3={**_S3, "endpoint": "x"}),
        "spec.sources[0].s3.endpoint",
        'unknown field "spec.sources[0].s3.endpoint"',
    ),
    Invalid("a ConfigMap left out", _source(configMap={}), "spec.sources[0].configMap.name", "Required value"),
    Invalid(
        "a ConfigMap in capitals",
        _source(configMap={"name": "Notes"}),
        "spec.sources[0].configMap.name",
        "should match",
    ),
    Invalid(
        "a ConfigMap without a name",
        _source(configMap={"name": ""}),
        "spec.sources[0].configMap.name",
        "should be at least 1 chars long",
    ),
    Invalid(
        "a ConfigMap with a long name",
        _source(configMap={"name": "n" * 254}),
        "spec.sources[0].configMap.name",
        "Too long",
    ),
    Invalid(
        "a ConfigMap of another namespace",
        _source(configMap={"name": "x", "namespace": "y"}),
        "spec.sources[0].configMap.namespace",
        'unknown field "spec.sources[0].configMap.namespace"',
    ),
    *(
        Invalid(f"{kind} as text", _source(**{kind: "x"}), f"spec.sources[0].{kind}", "must be of type object")
        for kind in ("s3", "configMap", "directory", "uploads")
    ),
    required("spec.sources[0].directory.path"),
    bad("spec.sources[0].directory.path", "", "should be at least 1 chars long"),
    bad("spec.sources[0].directory.path", "p" * 1025, "Too long"),
    bad("spec.sources[0].directory.path", "a\tb", "should match"),
    bad("spec.sources[0].directory.path", "a\x7fb", "should match"),
    *(
        rule(
            f"a way out of the folder by {path}",
            {"spec.sources.0.directory.path": path},
            "spec.sources[0].directory.path",
            'path must not contain ".."',
        )
        for path in ("..", "../secrets", "a/../../b", "/data/..")
    ),
    Invalid(
        "uploads with a field",
        _source(uploads={"limit": 3}),
        "spec.sources[0].uploads.limit",
        'unknown field "spec.sources[0].uploads.limit"',
    ),
    Invalid("uploads true", _source(uploads=True), "spec.sources[0].uploads", "must be of type object"),
    *(
        Invalid(f"{globs} {value!r:.20}", {f"spec.sources.0.{globs}": value}, f"spec.sources[0].{globs}{at}", message)
        for globs in ("include", "exclude")
        for at, value, message in (
            ("", "*.md", "must be of type array"),
            ("", ["*.md"] * 33, "must have at most 32 items"),
            ("[0]", [""], "should be at least 1 chars long"),
            ("[0]", ["x" * 257], "Too long"),
            ("[0]", ["a\nb"], "should match"),
            ("[0]", [None], "must be of type string"),
        )
    ),
    bad("spec.sources[0].access", ["hr"], "must be of type object"),
    required("spec.sources[0].access.groups", {"spec.sources.0.access": {}}),
    bad("spec.sources[0].access.groups", [], "should have at least 1 items"),
    bad("spec.sources[0].access.groups", "hr", "must be of type array"),
    bad("spec.sources[0].access.groups", ["g"] * 65, "must have at most 64 items"),
    unknown("spec.sources[0].access.users", ["ann"]),
)

_CRON = "should match '^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$'"
_QUANTITY = "should match '^[0-9]+"
_RESOURCES = "spec.ingestion.resources"


def _schedule(value: Any, message: str) -> Invalid:
    changes = {"spec.ingestion": {"schedule": value, "timeZone": "Etc/UTC"}}
    return Invalid(f"schedule {value!r:.40}", changes, "spec.ingestion.schedule", message)


def _zone(value: Any, message: str) -> Invalid:
    changes = {"spec.ingestion": {"schedule": "0 3 * * *", "timeZone": value}}
    return Invalid(f"timeZone {value!r:.40}", changes, "spec.ingestion.timeZone", message)


def _cpu(value: Any, message: str) -> Invalid:
    changes = {"spec.ingestion.resources": {"limits": {"cpu": value}}}
    return Invalid(f"cpu {value!r:.40}", changes, "spec.ingestion.resources.limits.cpu", message)


INGESTION: tuple[Invalid, ...] = (
    bad("spec.ingestion", [], "must be of type object"),
    rule("a schedule without a time zone", {"spec.ingestion.schedule": "0 3 * * *"}, "spec.ingestion.timeZone",
         "schedule needs timeZone, such as Etc/UTC or Europe/Berlin"),
    rule("a time zone without a schedule", {"spec.ingestion.timeZone": "Etc/UTC"}, "spec.ingestion.timeZone",
         "timeZone may be set only together with schedule"),
    _schedule("@hourly", "should be at least 9 chars long"),
    _schedule("every 5 minutes please", _CRON),
    _schedule("*/5  * * * *", _CRON),
    _schedule("*/5\t* * * *", _CRON),
    _schedule(" */5 * * * *", _CRON),
    _schedule("0 0 */5 * * *", _CRON),
    _schedule(f"{'1,' * 64} * * * *", "Too long"),
    _schedule(5, "must be of type string"),
    _zone("", "should be at least 1 chars long"),
    _zone("UTC+1", "should match"),
    _zone("Europe/Berlin ", "should match"),
    _zone("../etc/passwd", "should match"),
    _zone("A/B/C/D", "should match"),
    _zone("Z" * 65, "Too long"),
    *number("spec.ingestion.parallelism", 1, 64),
    *number("spec.ingestion.maxAttemptsPerDocument", 1, 20),
    *number("spec.ingestion.maxObjectBytes", 1, 1_073_741_824),
    *words("spec.ingestion.onSourceDeletion", "Delete", "Keep"),
    *number("spec.ingestion.maxDeletePercent", 0, 100),
    unknown("spec.ingestion.image", "registry/worker:1"),
    unknown("spec.ingestion.serviceAccountName", "admin"),
    unknown("spec.ingestion.podTemplate", {"spec": {}}),
    unknown("spec.ingestion.resources.claims", []),
    bad("spec.ingestion.resources", "small", "must be of type object"),
    bad("spec.ingestion.resources.requests", ["cpu"], "must be of type object"),
    _cpu("lots", _QUANTITY),
    _cpu("1.5.2", _QUANTITY),
    _cpu("-1", _QUANTITY),
    _cpu("1 Gi", _QUANTITY),
    _cpu("", _QUANTITY),
    _cpu(-1, "should be greater than or equal to 0"),
    _cpu("1" * 33, "Too long"),
    _cpu(2**63, "must be of type"),
    _cpu(True, "must be of type"),
    _cpu(1.5, "must be of type"),
    _cpu({"value": 1}, 'unknown field "spec.ingestion.resources.limits.cpu.value"'),
    bad("spec.ingestion.resources.limits", {f"r{n}": 1 for n in range(9)}, "must have at most 8 "),
    *(
        Invalid(f"resource {key:.20}", {f"{_RESOURCES}.requests": {key: 1}}, f"{_RESOURCES}.requests",
                "every key must be the name of a resource such as cpu or memory, of at most 63 characters",
                local_field=f"{_RESOURCES}.requests.{key}")
        for key in ("CPU", "cpu ", "/cpu", "a/b/c", "a//b", "example.com/-x", "r" * 64)
    ),
    bad("spec.ingestion.nodeSelector", ["arm64"], "must be of type object"),
    bad("spec.ingestion.nodeSelector", {f"k{n}": "x" for n in range(17)}, "must have at most 16 "),
    *(
        Invalid(f"node label {key:.20} ({len(key)})", {"spec.ingestion.nodeSelector": {key: "x"}},
                "spec.ingestion.nodeSelector",
                "every key must be a label key such as kubernetes.io/arch, of at most 253 characters",
                local_field=f"spec.ingestion.nodeSelector.{key}")
        for key in ("a b", "-arch", "Example.org/x", "a/b/c", "example..org/x", "k" * 64, f"{'d.' * 100}d/{'k' * 60}")
    ),
    Invalid("a node label's value", {"spec.ingestion.nodeSelector": {"arch": "arm 64"}},
            "spec.ingestion.nodeSelector.arch", "should match"),
    Invalid("a long node label's value", {"spec.ingestion.nodeSelector": {"arch": "a" * 64}},
            "spec.ingestion.nodeSelector.arch", "Too long"),
    Invalid("a number as a node label's value", {"spec.ingestion.nodeSelector": {"zone": 1}},
            "spec.ingestion.nodeSelector.zone", "must be of type string"),
)  # fmt: skip

_RERANK = "model must be set exactly when provider is not None"

RETRIEVAL: tuple[Invalid, ...] = (
    bad("spec.retrieval", "Hybrid", "must be of type object"),
    *words("spec.retrieval.mode", "Hybrid", "Vector", "Keyword"),
    *words("spec.retrieval.fusion", "Weighted", "RRF"),
    *number("spec.retrieval.topK", 1, 100),
    *number("spec.retrieval.vectorWeight", 0, 100),
    *number("spec.retrieval.efSearch", 1, 1000, {"spec.retrieval.topK": 1}),
    unknown("spec.retrieval.threshold", 1),
    rule("fewer candidates than results", {"spec.retrieval": {"topK": 50, "efSearch": 49}}, "spec.retrieval.efSearch",
         "efSearch must be at least topK"),
    rule("fewer candidates than the results that are the default", {"spec.retrieval": {"efSearch": 7}},
         "spec.retrieval.efSearch", "efSearch must be at least topK"),
    bad("spec.retrieval.rerank", "Bedrock", "must be of type object"),
    *words("spec.retrieval.rerank.provider", "None", "Bedrock"),
    rule("reranking without a model", {"spec.retrieval.rerank": {"provider": "Bedrock"}}, "spec.retrieval.rerank.model",
         _RERANK),
    rule("a model without reranking", {"spec.retrieval.rerank": {"model": "cohere.rerank-v3-5:0"}},
         "spec.retrieval.rerank.model", _RERANK),
    Invalid("a reranking model with a space", {"spec.retrieval.rerank": {"provider": "Bedrock", "model": "a b"}},
            "spec.retrieval.rerank.model", "should match"),
)  # fmt: skip

_ROUTE = {"provider": "Bedrock", "model": "us.anthropic.claude-haiku-4-5-20251001-v1:0"}


def _route(field: str, message: str, local_rule: bool = False, **parts: Any) -> Invalid:
    at = f"spec.generation.routes[0]{field}"
    return Invalid(f"a route with {parts}", {"spec.generation.routes": [{**_ROUTE, **parts}]}, at, message, local_rule)


GENERATION: tuple[Invalid, ...] = (
    bad("spec.generation", True, "must be of type object"),
    bad("spec.generation.routes", _ROUTE, 'unknown field "spec.generation.routes.model"'),
    bad("spec.generation.routes", [_ROUTE] * 9, "must have at most 8 items"),
    required("spec.generation.routes[0].provider", {"spec.generation.routes": [{"model": "m"}]}),
    required("spec.generation.routes[0].model", {"spec.generation.routes": [{"provider": "Bedrock"}]}),
    _route(".provider", 'supported values: "Bedrock", "OpenAI"', provider="Local"),
    _route(".model", "should match", model="a b"),
    _route(".model", "Too long", model="m" * 257),
    _route(".url", 'unknown field "spec.generation.routes[0].url"', url="https://x"),
    _route(".endpointRef", "endpointRef may be set only when provider is OpenAI", True, endpointRef={"name": "vllm"}),
    _route(".endpointRef.name", "should match", provider="OpenAI", endpointRef={"name": "VLLM"}),
    *number("spec.generation.maxTokens", 1, 32768),
    bad("spec.generation.language", "English", "should match"),
    bad("spec.generation.language", "e", "should be at least 2 chars long"),
    bad("spec.generation.language", "en-" + "x" * 33, "Too long"),
    bad("spec.generation.guardrail", "abc", "must be of type object"),
    required("spec.generation.guardrail.id", {"spec.generation.guardrail": {"version": "1"}}),
    required("spec.generation.guardrail.version", {"spec.generation.guardrail": {"id": "abc"}}),
    Invalid("a guardrail by its address", {"spec.generation.guardrail": {"id": "arn:aws:x", "version": "1"}},
            "spec.generation.guardrail.id", "should match"),
    Invalid("a guardrail with a long id", {"spec.generation.guardrail": {"id": "g" * 65, "version": "1"}},
            "spec.generation.guardrail.id", "Too long"),
    Invalid("the latest guardrail", {"spec.generation.guardrail": {"id": "abc", "version": "latest"}},
            "spec.generation.guardrail.version", "should match"),
    Invalid("guardrail version 0", {"spec.generation.guardrail": {"id": "abc", "version": "0"}},
            "spec.generation.guardrail.version", "should match"),
    unknown("spec.generation.prompt", "You are a pirate"),
)  # fmt: skip
