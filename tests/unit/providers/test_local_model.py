"""Local sentence models out of a folder: what is computed, and what is refused."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.embedder import EmbedderContract
from tests.contracts.tiny_model import POSITIONS, SHAPE, tiny_weights, write_manifest, write_tiny_model

from ragindex_core.errors import InvalidInput, Misconfigured, Unavailable
from ragindex_core.ports import Embedder, InputType
from ragindex_providers.embedders import EmbeddingChoice, open_embedder
from ragindex_providers.local_model.embedder import LocalEmbedder
from ragindex_providers.local_model.folder import MANIFEST, MODEL, TOKENIZER, read_model_folder
from ragindex_providers.local_model.graph import Array
from ragindex_providers.settings import LocalModelFiles, ProviderSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """One to damage."""
    for name in (MANIFEST, MODEL, TOKENIZER):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def opened(folder: Path, **options: Any) -> LocalEmbedder:
    return LocalEmbedder("tiny", read_model_folder(folder), **options)


class TestLocalEmbedder(EmbedderContract):
    @pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
    def embedder(self, folder: Path, request: pytest.FixtureRequest) -> Iterator[Embedder]:
        embedder = opened(folder, threads=request.param)
        yield embedder
        embedder.close()

    def test_what_means_the_same_lies_nearer_than_what_does_not(self, embedder: Embedder) -> None:
        """Random weights mean nothing; the words must tell."""
        salt, salty, leave = embedder.embed(["salt water", "Salt water", "days"], InputType.PASSAGE).vectors
        assert salt @ salty > salt @ leave


def layer_norm(x: Array, weights: dict[str, Array], prefix: str) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + SHAPE.epsilon)
    result: Array = scaled * weights[f"{prefix}.weight"] + weights[f"{prefix}.bias"]
    return result


def reference(ids: list[int]) -> Array:
    """BERT as its paper has it, mean-pooled and of length 1."""
    w = {name: value.astype(np.float64) for name, value in tiny_weights().items()}

    def dense(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def heads(x: Array) -> Array:
        return x.reshape(len(ids), SHAPE.heads, -1).transpose(1, 0, 2)

    gelu = np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))))
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = layer_norm(x + w["embeddings.token_type_embeddings.weight"][0], w, "embeddings.LayerNorm")
    for layer in range(SHAPE.layers):
        p = f"encoder.layer.{layer}"
        q, k, v = (heads(dense(x, f"{p}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(SHAPE.hidden / SHAPE.heads))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(ids), -1)
        x = layer_norm(dense(mixed, f"{p}.attention.output.dense") + x, w, f"{p}.attention.output.LayerNorm")
        wide = gelu(dense(x, f"{p}.intermediate.dense"))
        x = layer_norm(dense(wide, f"{p}.output.dense") + x, w, f"{p}.output.LayerNorm")
    pooled: Array = x.mean(axis=0)
    pooled /= np.linalg.norm(pooled)
    return pooled


def test_the_graph_computes_a_bert_encoder(folder: Path) -> None:
    embedder = opened(folder)
    result = embedder.embed(["leave days salt"], InputType.PASSAGE)
    assert np.allclose(result.vectors[0], reference([1, 3, 4, 5, 2]), atol=1e-5)
    assert result.tokens == 3


def test_a_text_beyond_the_limit_is_cut_to_it(folder: Path) -> None:
    embedder = opened(folder)
    limit = embedder.info.max_input_tokens
    assert limit == POSITIONS - 2
    exact, beyond = embedder.embed(["salt " * limit, "salt " * limit + "leave"], InputType.PASSAGE).vectors
    assert np.array_equal(exact, beyond)


def test_closing_while_texts_wait_is_told_to_whoever_asked(folder: Path) -> None:
    embedder = opened(folder, threads=2)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(embedder.embed, ["salt " * 60] * 20_000, InputType.PASSAGE)
        wait([asked], timeout=0.3)
        embedder.close()
        with pytest.raises(Unavailable, match="closed"):
            asked.result()


def test_prefixes_go_before_texts_and_off_the_limit(copy: Path) -> None:
    write_manifest(copy, query_prefix="query: ", passage_prefix="a passage: ")
    embedder = opened(copy)
    asked = embedder.embed(["leave"], InputType.QUERY).vectors[0]
    assert np.allclose(asked, reference([1, 7, 9, 3, 2]), atol=1e-5)
    assert embedder.info.max_input_tokens == POSITIONS - 2 - 3
    (spans,) = embedder.tokenizer.token_spans(["leave"])
    assert len(spans) == 1


def test_a_folder_in_the_settings_is_a_model_by_its_name(folder: Path) -> None:
    pinned = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    settings = ProviderSettings(folder, local_models={"tiny": LocalModelFiles(folder, pinned)})
    embedder = open_embedder(EmbeddingChoice("Local", "tiny", 16), settings)
    assert (embedder.info.provider, embedder.info.model, embedder.info.dimensions) == ("Local", "tiny", 16)
    embedder.close()
    with pytest.raises(InvalidInput) as caught:
        open_embedder(EmbeddingChoice("Local", "tiny", 17), settings)
    assert caught.value.problems[0].field == "dimensions"


def test_a_manifest_that_is_not_the_pinned_one_is_refused(copy: Path) -> None:
    settings = ProviderSettings(copy, local_models={"tiny": LocalModelFiles(copy, "0" * 64)})
    with pytest.raises(Misconfigured, match=MANIFEST):
        open_embedder(EmbeddingChoice("Local", "tiny", 16), settings)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
def test_a_file_that_is_not_the_pinned_one_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(Misconfigured, match=f"{name} has SHA-256"):
        read_model_folder(copy)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, TOKENIZER])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(Misconfigured, match=f"{name} cannot be read"):
        read_model_folder(copy)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dimensions": 0}, "dimensions"),
        ({"pooling": "max"}, "pooling"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"querry_prefix": ""}, "querry_prefix"),
        ({"sha256": {}}, "sha256.model.onnx"),
    ],
)
def test_a_wrong_manifest_names_the_field(copy: Path, change: dict[str, Any], complaint: str) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(Misconfigured, match=complaint):
        read_model_folder(copy)


@pytest.mark.parametrize("change", [{"dimensions": 17}, {"pooling": "mean"}, {"pooling": "cls"}])
def test_a_manifest_that_is_not_true_of_its_model_is_found_at_opening(copy: Path, change: dict[str, Any]) -> None:
    write_manifest(copy, **change)
    with pytest.raises(Misconfigured, match="shape"):
        opened(copy)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
def test_files_that_are_no_model_are_refused(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"no model")
    write_manifest(copy)
    with pytest.raises(Misconfigured, match="no usable sentence model"):
        opened(copy)
