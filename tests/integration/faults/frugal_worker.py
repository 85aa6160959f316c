"""A worker as a process of its own whose embedder takes no time and no memory: what is left is the worker's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.integration.faults.one_worker import source_of

from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, EmbedderInfo, Embeddings, InputType, Tokenizer
from ragindex_core.testing.tokenizer import FakeTokenizer
from ragindex_db.engine import Database, DatabaseSettings
from ragindex_db.revisions import RevisionRow
from ragindex_worker.loop import Worker, WorkerSettings

_DIMENSIONS = 32


class FrugalEmbedder:
    """Every text has the same vector."""

    info = EmbedderInfo("Fake", "words", _DIMENSIONS, max_input_tokens=256, max_batch=64)
    tokenizer: Tokenizer = FakeTokenizer()

    def embed(self, texts: Sequence[str], _input_type: InputType) -> Embeddings:
        return Embeddings(np.full((len(texts), _DIMENSIONS), _DIMENSIONS**-0.5, dtype=np.float32), tokens=len(texts))

    def close(self) -> None:
        """Nothing is open."""


class Embedders:
    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        return FrugalEmbedder()


def main(url: str, scratch: str) -> None:
    database = Database(DatabaseSettings(url=url, pool_size=8))
    Worker(database, Embedders(), source_of, WorkerSettings(scratch=Path(scratch), drain=True)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
