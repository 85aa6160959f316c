"""The model that comes with RagIndex, built from the installed package and used."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file
from tests.contracts.embedder import EmbedderContract

from ragindex_core.errors import Misconfigured
from ragindex_core.ports import Embedder, InputType
from ragindex_providers.embedders import EmbeddingChoice, open_embedder
from ragindex_providers.local_model import minilm
from ragindex_providers.local_model.build import build
from ragindex_providers.local_model.folder import MODEL
from ragindex_providers.settings import ProviderSettings

CHOICE = EmbeddingChoice("Local", minilm.MINILM, 384)
SENTENCES = [
    "Every employee has thirty days of annual leave.",
    "How many days off do I get in a year?",
    "Expenses are paid back within two weeks of the claim.",
    "Sodium chloride dissolves readily in cold water, and less so in alcohol. " * 8,
    "a",
]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    # Two at once: one builds, the other waits and finds it built.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: minilm.open_minilm_folder(folder), range(2)))
    return folder


@pytest.fixture(scope="module")
def shared(models_dir: Path) -> Embedder:
    return open_embedder(CHOICE, ProviderSettings(models_dir, local_threads=2))


class TestMiniLM(EmbedderContract):
    @pytest.fixture
    def embedder(self, models_dir: Path) -> Any:
        embedder = open_embedder(CHOICE, ProviderSettings(models_dir, local_threads=2))
        yield embedder
        embedder.close()


def test_it_is_built_once_and_nothing_else_is_left_behind(models_dir: Path, shared: Embedder) -> None:
    assert shared.info.max_input_tokens == 254
    assert sorted(path.name for path in models_dir.iterdir()) == [".lock", f"{minilm.MINILM}-int8-1"]


def test_a_question_is_nearest_to_its_answer(shared: Embedder) -> None:
    leave, question, expenses, chemistry, _ = shared.embed(SENTENCES, InputType.PASSAGE).vectors
    assert question @ leave > 0.4
    assert question @ leave > max(question @ expenses, question @ chemistry) + 0.2


def test_small_numbers_keep_the_vectors_of_the_exact_model(shared: Embedder, tmp_path: Path) -> None:
    build(minilm.find_weights(), tmp_path, quantised=False)
    exact = onnxruntime.InferenceSession((tmp_path / MODEL).read_bytes(), providers=["CPUExecutionProvider"])
    quantised = shared.embed(SENTENCES, InputType.PASSAGE).vectors
    for text, vector in zip(SENTENCES, quantised, strict=True):
        ids = shared._tokenizer.inputs([text])[0]  # type: ignore[attr-defined]
        (expected,) = exact.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        assert vector @ expected >= 0.985


def test_a_damaged_model_is_built_again(models_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(models_dir, tmp_path, dirs_exist_ok=True)
    (model,) = tmp_path.glob(f"*/{MODEL}")
    model.write_bytes(model.read_bytes()[:-1])
    (tmp_path / ".building-left-over").mkdir()
    folder = minilm.open_minilm_folder(tmp_path)
    assert folder.model[-16:] == (models_dir / folder.path.name / MODEL).read_bytes()[-16:]
    assert not list(tmp_path.glob(".building-*"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=str(tmp_path / "file")):
        minilm.open_minilm_folder(tmp_path / "file")


def test_nothing_of_the_package_runs_and_what_builds_is_not_loaded(models_dir: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ragindex_providers.settings import ProviderSettings;"
        "from ragindex_providers.embedders import *;"
        f"open_embedder(EmbeddingChoice('Local', {minilm.MINILM!r}, 384), ProviderSettings(Path(sys.argv[1])));"
        "import json; json.dump(sorted(m.split('.')[0] for m in sys.modules), sys.stdout)"
    )
    command = [sys.executable, "-c", program, str(models_dir)]
    modules = set(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
    assert not modules & {minilm.PACKAGE, "onnx", "torch", "safetensors", "sentence_transformers", "transformers"}


def test_the_weights_are_the_released_ones() -> None:
    weights = load_file(minilm.find_weights() / "model.safetensors")
    assert weights["embeddings.word_embeddings.weight"].shape == (30522, 384)
