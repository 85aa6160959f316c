"""What an installation cannot do is refused by field, and what it can do is not."""

from __future__ import annotations

from typing import Any

import pytest

from ragindex_core.object.spec import EmbeddingProvider, RagIndexSpec
from ragindex_operator.capabilities import Capabilities, refusals

LOCAL: dict[str, Any] = {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384}
FILES: dict[str, Any] = {"name": "files", "directory": {"path": "./docs"}}


def spec(**parts: Any) -> RagIndexSpec:
    return RagIndexSpec.model_validate({"embedding": LOCAL, "sources": [FILES], **parts})


def test_what_one_machine_can_do_is_not_refused() -> None:
    able = spec(
        sources=[FILES, {"name": "uploads", "uploads": {}}],
        generation={"routes": [{"provider": "OpenAI", "model": "llama3.1"}]},
    )
    assert refusals(able, Capabilities()) == ()
    assert refusals(spec(embedding={**LOCAL, "provider": "OpenAI"}), Capabilities()) == ()


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"embedding": {**LOCAL, "provider": "Bedrock", "model": "m"}}, "spec.embedding.provider"),
        ({"sources": [FILES, {"name": "s", "s3": {"bucket": "acme-hr", "region": "eu-central-1"}}]}, "spec.sources[1]"),
        ({"sources": [{"name": "c", "configMap": {"name": "hr-notes"}}]}, "spec.sources[0]"),
        ({"generation": {"routes": [{"provider": "Bedrock", "model": "m"}]}}, "spec.generation.routes[0].provider"),
        ({"generation": {"guardrail": {"id": "abc", "version": "1"}}}, "spec.generation.guardrail"),
        ({"retrieval": {"rerank": {"provider": "Bedrock", "model": "m"}}}, "spec.retrieval.rerank.provider"),
    ],
)
def test_what_one_machine_cannot_do_is_refused_by_its_field(parts: dict[str, Any], field: str) -> None:
    (refusal,) = refusals(spec(**parts), Capabilities())
    assert refusal.field == field
    assert "not available in this installation" in refusal.message


def test_another_installation_may_do_more() -> None:
    bedrock = spec(embedding={**LOCAL, "provider": "Bedrock", "model": "m"})
    assert refusals(bedrock, Capabilities(embedding=frozenset(EmbeddingProvider))) == ()


def test_a_database_that_nobody_set_up_is_refused() -> None:
    elsewhere = spec(databaseRef={"name": "archive"})
    assert refusals(elsewhere, Capabilities()) == ()
    (refusal,) = refusals(elsewhere, Capabilities(databases=frozenset({"default"})))
    assert refusal.field == "spec.databaseRef.name"
