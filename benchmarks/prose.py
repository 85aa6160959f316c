"""Texts of words that the local model knows: it cuts made-up words into many pieces, real text into a few more than
there are words."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks import corpus
from ragindex_providers.local_model.minilm import find_weights

_MADE_UP = 0.12  # the share of words that are names and the like
_WORDS = (150, 230)
_DISTINCT = 2003  # paragraphs that files are made of


def passages(count: int, seed: int = 0) -> list[str]:
    """Paragraphs of some 250 tokens."""
    random = np.random.default_rng([7, seed])
    known, other = _known(), corpus.vocabulary()
    found = []
    for size in random.integers(*_WORDS, size=count):
        words = [
            other[random.integers(5000, len(other))] if strange else known[int(len(known) * place**3)]
            for strange, place in zip(random.random(size) < _MADE_UP, random.random(size), strict=True)
        ]
        sentences = [" ".join(words[i : i + 15]).capitalize() for i in range(0, size, 15)]
        found.append(". ".join(sentences) + ".")
    return found


def write_folder(folder: Path, files: int, sections: int) -> int:
    """Markdown files of so many headings each, no two of them the same; how many bytes they are together."""
    known, size = passages(_DISTINCT), 0
    for number in range(files):
        path = folder / f"{number % 100:02}" / f"{number:06}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [f"# Report {number}"]
        parts += [f"## Part {i} of {number}\n\n{known[(number * 31 + i) % _DISTINCT]}" for i in range(sections)]
        size += path.write_bytes("\n\n".join(parts).encode())
    return size


@lru_cache(maxsize=1)
def tokenizer_file() -> bytes:
    return (find_weights() / "tokenizer.json").read_bytes()


@lru_cache(maxsize=1)
def _known() -> tuple[str, ...]:
    """Whole words of the model's vocabulary, the frequent ones first."""
    vocabulary: dict[str, int] = json.loads(tokenizer_file())["model"]["vocab"]
    words = sorted(vocabulary, key=lambda word: vocabulary[word])
    return tuple(word for word in words if word.isascii() and word.isalpha() and len(word) > 1)
