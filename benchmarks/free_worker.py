"""The worker as a process of its own, with a model that answers at once: what is left is what ingestion itself costs.

    python -m benchmarks.free_worker DATABASE_URL INDEX_ID FOLDER TEXTS

Works until nothing is left to do, on one processor, and tells in JSON what it took.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.corpus import DIMENSIONS
from benchmarks.machine import peak_rss_mib
from benchmarks.prose import tokenizer_file
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import EmbedderInfo, Embeddings, InputType, Tokenizer
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.revisions import RevisionRow
from ragindex_local.worker_process import source_of
from ragindex_providers.local_model.tokenizer import ModelTokenizer
from ragindex_worker.loop import Worker, WorkerSettings

_MAX_TOKENS = 256  # the local model's


class FreeEmbedder:
    """Vectors out of a drawer; the tokenizer, which cutting needs, is the local model's own."""

    def __init__(self, expected: int) -> None:
        self._vectors = np.random.default_rng(0).standard_normal((4096, DIMENSIONS)).astype(np.float32)
        self._vectors /= np.linalg.norm(self._vectors, axis=1, keepdims=True)
        self._tokenizer = ModelTokenizer(tokenizer_file(), _MAX_TOKENS)
        self._expected = expected
        self._texts = 0
        self.early_mib = 0.0  # the most memory that was taken until a quarter was done

    @property
    def info(self) -> EmbedderInfo:
        limit = _MAX_TOKENS - self._tokenizer.special_tokens
        return EmbedderInfo("Free", "free", DIMENSIONS, limit, max_batch=64)

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def embed(self, texts: Sequence[str], input_type: InputType) -> Embeddings:  # noqa: ARG002
        if self._texts < self._expected // 4:
            self.early_mib = peak_rss_mib(os.getpid())
        rows = np.arange(self._texts, self._texts + len(texts)) % len(self._vectors)
        self._texts += len(texts)
        return Embeddings(self._vectors[rows], tokens=0)

    def close(self) -> None:
        """Nothing is open."""

    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> FreeEmbedder:
        return self


def main(url: str, index_id: str, folder: str, texts: str) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    database = Database(DatabaseSettings(url=url, pool_size=8, application_name="free-worker"))
    embedder = FreeEmbedder(int(texts))
    settings = WorkerSettings(scratch=Path(folder), index_id=int(index_id), drain=True)
    worker = Worker(database, embedder, source_of, settings)
    started, used = time.perf_counter(), time.process_time()
    worker.run()
    told = {
        "seconds": time.perf_counter() - started,
        "worker_seconds": time.process_time() - used,
        "peak_mib": peak_rss_mib(os.getpid()),
        "early_mib": embedder.early_mib,
    }
    database.close()
    parser = resource.getrusage(resource.RUSAGE_CHILDREN)
    told |= {"parser_seconds": parser.ru_utime + parser.ru_stime, "parser_peak_mib": parser.ru_maxrss / 1024}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
