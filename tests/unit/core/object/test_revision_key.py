"""What makes stored vectors unusable, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.object.revision import complete, inputs_key, key_of, projection, revision_key
from ragindex_core.object.spec import RagIndexSpec

LEAST: dict[str, Any] = {
    "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
    "sources": [{"name": "docs", "directory": {"path": "docs"}}],
}


def spec(**parts: Any) -> RagIndexSpec:
    return RagIndexSpec.model_validate({**LEAST, **parts})


def test_keys_never_change_from_one_release_to_the_next() -> None:
    assert revision_key(spec()) == "oqywtahhd66h2miz"
    assert revision_key(spec(chunking={"strategy": "Hierarchical", "maxTokens": 512})) == "r4c22dduhpaoz6y3"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"embedding": {**LEAST["embedding"], "provider": "OpenAI"}}, id="provider"),
        pytest.param({"embedding": {**LEAST["embedding"], "model": "another"}}, id="model"),
        pytest.param({"embedding": {**LEAST["embedding"], "dimensions": 256}}, id="dimensions"),
        pytest.param({"embedding": {**LEAST["embedding"], "elementType": "Vector"}}, id="element type"),
        pytest.param({"embedding": {**LEAST["embedding"], "distance": "L2"}}, id="distance"),
        pytest.param({"chunking": {"strategy": "Sentence"}}, id="strategy"),
        pytest.param({"chunking": {"maxTokens": 301}}, id="maxTokens"),
        pytest.param({"chunking": {"overlapTokens": 0}}, id="overlapTokens"),
    ],
)
def test_what_vectors_depend_on_changes_the_key(parts: dict[str, Any]) -> None:
    assert revision_key(spec(**parts)) != revision_key(spec())


others = st.fixed_dictionaries(
    {},
    optional={
        "suspend": st.booleans(),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "databaseRef": st.sampled_from([{"name": "default"}, {"name": "other"}]),
        "index": st.sampled_from(
            [{"type": "None"}, {"hnsw": {"m": 8, "efConstruction": 99}}, {"rebuildSchedule": "0 3 * * 0"}]
        ),
        "sources": st.sampled_from([[{"name": "up", "uploads": {}}], [{"name": "cm", "configMap": {"name": "x"}}]]),
        "ingestion": st.fixed_dictionaries(
            {"parallelism": st.integers(1, 64), "maxObjectBytes": st.integers(1, 10**9)},
            optional={"onSourceDeletion": st.just("Keep"), "nodeSelector": st.just({"a": "b"})},
        ),
        "rollout": st.fixed_dictionaries({"retainRevisions": st.integers(0, 5), "promotion": st.just("Manual")}),
        "retrieval": st.fixed_dictionaries({"mode": st.just("Vector"), "vectorWeight": st.integers(0, 100)}),
        "generation": st.just({"routes": [{"provider": "OpenAI", "model": "x"}], "maxTokens": 9}),
    },
)


@given(others)
def test_nothing_else_does(parts: dict[str, Any]) -> None:
    assert revision_key(spec(**parts)) == revision_key(spec())


def test_the_endpoint_of_a_provider_may_move() -> None:
    embedding = {"provider": "OpenAI", "model": "x", "dimensions": 9}
    moved = {**embedding, "endpointRef": {"name": "elsewhere"}}
    assert revision_key(spec(embedding=embedding)) == revision_key(spec(embedding=moved))


written_out = st.fixed_dictionaries(
    {},
    optional={
        "embedding": st.just({**LEAST["embedding"], "elementType": "HalfVector", "distance": "Cosine"}),
        "chunking": st.fixed_dictionaries(
            {}, optional={"strategy": st.just("Structural"), "maxTokens": st.just(300), "overlapTokens": st.just(40)}
        ),
    },
)


@given(written_out)
def test_a_default_written_out_is_the_same_as_one_left_out(parts: dict[str, Any]) -> None:
    assert projection(spec(**parts)) == projection(spec())


def test_a_projection_holds_nothing_that_is_as_it_always_was() -> None:
    assert projection(spec()) == {
        "version": 1,
        "embedding.provider": "Local",
        "embedding.model": "all-minilm-l6-v2",
        "embedding.dimensions": 384,
    }
    assert complete(projection(spec()))["chunking.maxTokens"] == 300


@given(st.permutations(sorted(projection(spec(chunking={"maxTokens": 100})).items())))
def test_the_order_in_which_a_catalogue_returns_a_projection_does_not_matter(items: list[tuple[str, Any]]) -> None:
    assert key_of(dict(items)) == revision_key(spec(chunking={"maxTokens": 100}))


def test_keys_are_safe_in_names() -> None:
    keys = {revision_key(spec(chunking={"maxTokens": tokens})) for tokens in range(50, 250)}
    assert len(keys) == 200
    assert all(len(key) == 16 and set(key) <= set("abcdefghijklmnopqrstuvwxyz234567") for key in keys)


def test_a_run_is_due_for_other_sources_or_another_key_and_for_nothing_else() -> None:
    same = inputs_key(spec())
    assert inputs_key(spec(rollout={"retainRevisions": 0}, ingestion={"parallelism": 9})) == same
    source = LEAST["sources"][0]
    assert inputs_key(spec(sources=[{**source, "include": [], "exclude": []}])) == same
    assert inputs_key(spec(sources=[{**source, "include": ["*.md"]}])) != same
    assert inputs_key(spec(chunking={"maxTokens": 100})) != same
