"""What every subject is given, as files in a folder: no subject makes data of its own, and none shares an interpreter.

Subjects live in two environments, so this module needs numpy and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

K = 10
CHROMA_NAME = "chunks"
#: The filter: ``SELECTED_KEY`` equals ``SELECTED_VALUE`` for every hundredth document.
SELECTED_KEY, SELECTED_VALUE = "hundredth", 7


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk: ``number`` is what it is known by everywhere."""

    number: int
    text: str
    metadata: dict[str, Any]
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Given:
    """``truth`` holds the numbers of the ten nearest of each query, ``truth_selected`` those behind the filter."""

    folder: Path

    @property
    def vectors(self) -> Vectors:
        return _read(self.folder / "vectors.npy")

    @property
    def queries(self) -> Vectors:
        return _read(self.folder / "queries.npy")

    @property
    def truth(self) -> Numbers:
        return _read(self.folder / "truth.npy")

    @property
    def truth_selected(self) -> Numbers:
        return _read(self.folder / "truth_selected.npy")

    @property
    def count(self) -> int:
        return len(self.vectors)

    @property
    def dimensions(self) -> int:
        return int(self.vectors.shape[1])

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        vectors = self.vectors
        with open(self.folder / "chunks.jsonl", encoding="utf-8") as lines:
            for number, line in enumerate(islice(lines, start, stop), start):
                kept = json.loads(line)
                yield Row(number, kept["text"], kept["metadata"], np.array(vectors[number]))

    def write(self, vectors: Vectors, queries: Vectors, chunks: Iterator[tuple[str, dict[str, Any]]]) -> None:
        selected = []
        with open(self.folder / "chunks.jsonl", "w", encoding="utf-8") as lines:
            for number, (text, metadata) in enumerate(chunks):
                lines.write(json.dumps({"text": text, "metadata": metadata}) + "\n")
                if metadata[SELECTED_KEY] == SELECTED_VALUE:
                    selected.append(number)
        np.save(self.folder / "vectors.npy", vectors)
        np.save(self.folder / "queries.npy", queries)
        everything = np.arange(len(vectors))
        np.save(self.folder / "truth.npy", nearest(vectors, queries, everything))
        np.save(self.folder / "truth_selected.npy", nearest(vectors, queries, np.array(selected)))


def _read(path: Path) -> NDArray[Any]:
    """Left in the file until it is looked at: it is no part of what a subject holds in memory."""
    return np.asarray(np.load(path, mmap_mode="r"))


def nearest(vectors: Vectors, queries: Vectors, among: Numbers) -> Numbers:
    """The numbers of the K nearest by cosine, by looking at all ``among``; vectors are of length one."""
    scores = queries @ vectors[among].T
    best = np.argpartition(-scores, K, axis=1)[:, :K]
    order = np.take_along_axis(scores, best, axis=1).argsort(axis=1)[:, ::-1]
    return among[np.take_along_axis(best, order, axis=1)]


def recall(found: list[list[int]], truth: Numbers) -> float:
    return sum(len(set(f) & set(t.tolist())) for f, t in zip(found, truth, strict=True)) / truth.size
