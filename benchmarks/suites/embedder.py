"""The local model: as fast as its bare session, and questions embedded while passages are."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks import corpus, ingestion, prose
from benchmarks.ingestion import FolderIndex
from benchmarks.results import Bars, Figure, Outcome, at_least, at_most
from benchmarks.service import running
from benchmarks.stage import INSTALLATION, Stage, say
from ragindex_core.ports import Embedder, InputType
from ragindex_providers.embedders import EmbeddingChoice, open_embedder
from ragindex_providers.local_model.minilm import MINILM, open_minilm_folder
from ragindex_providers.local_model.tokenizer import ModelTokenizer
from ragindex_providers.settings import ProviderSettings

_BATCH = 64
_PADDED = 16
_CHOICE: dict[str, Any] = {"provider": "Local", "model": MINILM, "dimensions": 384}

Ids = NDArray[np.int64]


def run(stage: Stage, *, quick: bool) -> Outcome:
    texts, rounds, questions, files = (48, 1, 15, 60) if quick else (256, 3, 150, 500)
    models = stage.folder / "models"
    cores = os.cpu_count() or 1
    model = open_minilm_folder(models)
    embedder = open_embedder(
        EmbeddingChoice(**_CHOICE),
        ProviderSettings(models_dir=models, local_threads=cores),
    )
    passages = prose.passages(texts)
    tokenized = ModelTokenizer(model.tokenizer, model.manifest.max_tokens).inputs(passages)
    ways: dict[str, Callable[[], object]] = {
        "RagIndex": lambda: _embedded(embedder, passages),
        "bare: a text a thread": lambda: _alone(single, tokenized, cores),
        "bare: a text on all threads": lambda: _alone(wide, tokenized, 1),
        "bare: padded batches": lambda: _padded(wide, tokenized),
    }
    single, wide = _session(model.model, 1), _session(model.model, cores)
    rates = _rates(ways, texts, rounds)
    embedder.close()
    best = max((name for name in ways if name != "RagIndex"), key=lambda name: statistics.median(rates[name]))
    shares = [mine / bare for mine, bare in zip(rates["RagIndex"], rates[best], strict=True)]
    idle, busy = _questions(stage, questions, files)
    middle = {name: statistics.median(each) for name, each in rates.items()}
    tokens = statistics.mean(ids.shape[1] for ids in tokenized)
    return Outcome(
        data=f"{texts} passages of {tokens:.0f} tokens; {questions} questions, each asked once",
        figures=[
            *(Figure(f"{name}: passages", rate, "/s") for name, rate in middle.items()),
            Figure(
                "share of the best bare session",
                statistics.median(shares),
                "",
                at_least(0.9),
                ratio=True,
                note=f"{best}, over inputs that are tokens already",
            ),
            Figure("question embedded, nothing else running: p50", idle, "ms"),
            Figure("question embedded while a worker ingests: p50", busy, "ms", at_most(5)),
        ],
        charts={"embedder": Bars("Passages embedded a second", "/s", list(middle.items()), line=0.9 * middle[best])},
    )


def _rates(ways: dict[str, Callable[[], object]], texts: int, rounds: int) -> dict[str, list[float]]:
    """Passages a second, by turns."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, embed in ways.items():
            started = perf_counter()
            embed()
            rates[name].append(texts / (perf_counter() - started))
        say(", ".join(f"{name} {each[-1]:.0f}/s" for name, each in rates.items()))
    return rates


def _embedded(embedder: Embedder, texts: Sequence[str]) -> None:
    """As the worker does."""
    for start in range(0, len(texts), _BATCH):
        embedder.embed(texts[start : start + _BATCH], InputType.PASSAGE)


def _session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _feeds(session: Any, ids: Ids, mask: Ids) -> dict[str, Ids]:
    known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {node.name: known[node.name] for node in session.get_inputs()}


def _alone(session: Any, inputs: Sequence[Ids], threads: int) -> None:
    """So many texts at a time, each by itself, the longest first."""
    with ThreadPoolExecutor(threads) as pool:
        order = sorted(inputs, key=lambda ids: -ids.shape[1])
        for _ in pool.map(lambda ids: session.run(None, _feeds(session, ids, np.ones_like(ids))), order):
            pass


def _padded(session: Any, inputs: Sequence[Ids]) -> None:
    """Batches of texts of about one length, the shorter ones filled up."""
    order = sorted(inputs, key=lambda ids: -ids.shape[1])
    for start in range(0, len(order), _PADDED):
        batch = order[start : start + _PADDED]
        ids = np.zeros((len(batch), batch[0].shape[1]), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(batch):
            ids[row, : text.shape[1]] = text
            mask[row, : text.shape[1]] = 1
        session.run(None, _feeds(session, ids, mask))


def _questions(stage: Stage, count: int, files: int) -> tuple[float, float]:
    """Milliseconds that the service took to embed a question that it had not seen: alone, and beside a worker."""
    texts = [query.text for query in corpus.queries(2 * count)]
    with ingestion.folder_index(stage, files, embedding=_CHOICE) as index, running(stage, []) as service:

        def asked(text: str) -> float:
            body = {"query": text, "mode": "vector", "top_k": 1}
            return float(service.client.post(f"{index.path}/search", body)["timings"]["embed"])

        asked("the model is opened by the first question")
        idle = statistics.median(asked(text) for text in texts[:count])
        with _ingesting(stage, index):
            busy = statistics.median(asked(text) for text in texts[count:])
            done = index.counts
            say(f"{done.indexed} of {files} files were done when all was asked")
    say(f"a question: {idle:.1f} ms alone, {busy:.1f} ms beside a worker")
    return idle, busy


@contextmanager
def _ingesting(stage: Stage, index: FolderIndex) -> Iterator[None]:
    """A worker as its container runs it, at work until the end of the block."""
    environment = {
        **os.environ,
        "RAGINDEX_DATABASE_URL": stage.url,
        "RAGINDEX_INSTALLATION": INSTALLATION,
        "RAGINDEX_MODELS_DIR": str(stage.folder / "models"),
    }
    with (stage.folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "ragindex_local", "worker", "--until-stdin-closes"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
    ending = threading.Event()
    try:
        # First it lists the folder; the reconciler then lets it embed.
        while not index.counts.indexed and process.poll() is None:
            index.reconcile()
            ending.wait(0.5)
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(120)
