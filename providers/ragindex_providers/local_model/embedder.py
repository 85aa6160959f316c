"""Embeds text with an ONNX model on this machine's processors.

Each text runs alone, on one thread, and ``threads`` of them at a time. Against one padded batch over all threads that
is faster for passages and no slower worth mentioning for short texts, and it makes a text's vector independent of its
neighbours: an 8-bit model scales its numbers by the largest of a whole batch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ragindex_core.errors import Misconfigured, Unavailable
from ragindex_core.ports import EmbedderInfo, Embeddings, InputType, Tokenizer, Vectors
from ragindex_providers.local_model.folder import ModelFolder
from ragindex_providers.local_model.tokenizer import ModelTokenizer

_MAX_BATCH = 64  # enough to keep the threads busy; a larger one only delays the first result
_KNOWN_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class LocalEmbedder:
    """Texts beyond the model's limit are cut; callers keep chunks below ``info.max_input_tokens``."""

    def __init__(self, model: str, folder: ModelFolder, *, threads: int = 1) -> None:
        manifest = folder.manifest
        self._manifest = manifest
        try:
            self._tokenizer = ModelTokenizer(folder.tokenizer, manifest.max_tokens)
            self._session = _open_session(folder.model)
        except Exception as error:  # both libraries raise bare Exception for a file they cannot use
            raise Misconfigured(f"{folder.path} holds no usable sentence model: {error}") from error
        self._input_names = [node.name for node in self._session.get_inputs()]
        unknown = set(self._input_names) - _KNOWN_INPUTS
        if unknown or "input_ids" not in self._input_names:
            raise Misconfigured(
                f"{folder.path}: the model wants inputs {self._input_names}, which is no text encoder's"
            )
        self._prefixes = {InputType.QUERY: manifest.query_prefix, InputType.PASSAGE: manifest.passage_prefix}
        longest_prefix = max(self._tokenizer.token_counts(list(self._prefixes.values())))
        self._info = EmbedderInfo(
            provider="Local",
            model=model,
            dimensions=manifest.dimensions,
            max_input_tokens=manifest.max_tokens - self._tokenizer.special_tokens - longest_prefix,
            max_batch=_MAX_BATCH,
            concurrency=1,
            normalised=manifest.normalise,
        )
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._closed = threading.Event()
        self._try_out(folder)

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings:
        if self._closed.is_set():
            raise Unavailable("the local embedder is closed")
        prefix = self._prefixes[input_type]
        inputs = self._tokenizer.inputs([prefix + text for text in texts] if prefix else texts)
        vectors = self._run_all(inputs)
        if not np.isfinite(vectors).all():
            raise Unavailable(f"the local model {self._info.model} answered with something that is not a number")
        tokens = sum(ids.shape[1] - self._tokenizer.special_tokens for ids in inputs)
        return Embeddings(vectors=vectors, tokens=tokens)

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    def _run_all(self, inputs: Sequence[NDArray[np.int64]]) -> Vectors:
        vectors = np.zeros((len(inputs), self._info.dimensions), dtype=np.float32)
        if len(inputs) < 2 or self._threads == 1:
            for row, ids in enumerate(inputs):
                vectors[row] = self._run(ids)
            return vectors
        # Longest first, so that the threads end together.
        order = sorted(range(len(inputs)), key=lambda row: -inputs[row].shape[1])
        try:
            for row, vector in zip(order, self._pool.map(self._run, [inputs[row] for row in order]), strict=True):
                vectors[row] = vector
        except (CancelledError, RuntimeError) as error:
            if self._closed.is_set():
                raise Unavailable("the local embedder is closed") from error
            raise
        return vectors

    def _run(self, ids: NDArray[np.int64]) -> Vectors:
        feeds: dict[str, NDArray[np.int64]] = {"input_ids": ids}
        if "attention_mask" in self._input_names:
            feeds["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self._input_names:
            feeds["token_type_ids"] = np.zeros_like(ids)
        output: NDArray[np.float32] = self._session.run(None, feeds)[0][0]
        match self._manifest.pooling:
            case "mean":
                output = output.mean(axis=0)
            case "cls":
                output = output[0]
            case "none":
                pass
        if self._manifest.normalise:
            output = output / max(float(np.linalg.norm(output)), 1e-12)
        return output

    def _try_out(self, folder: ModelFolder) -> None:
        """A model that does not do what its manifest says is found now; the first question finds a warm one."""
        try:
            vector = self._run(self._tokenizer.inputs(["A first sentence."])[0])
        except Exception as error:  # onnxruntime's errors share no other base
            raise Misconfigured(f"{folder.path}: the model cannot embed a sentence: {error}") from error
        if vector.shape != (self._info.dimensions,):
            raise Misconfigured(
                f"{folder.path}: the model gives vectors of shape {vector.shape}, "
                f"its manifest says {self._info.dimensions} dimensions"
            )


def _open_session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
