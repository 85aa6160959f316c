"""A sentence model small enough to be made in a test: real files, random weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from ragindex_providers.local_model.folder import MANIFEST, MODEL, TOKENIZER
from ragindex_providers.local_model.graph import Array, BertShape, build_sentence_encoder, save

SHAPE = BertShape(layers=2, hidden=16, heads=4, epsilon=1e-12)
WORDS = ["[UNK]", "[CLS]", "[SEP]", "leave", "days", "salt", "water", "query", "passage", ":", "a"]
POSITIONS = 64


def tiny_weights() -> dict[str, Array]:
    rng = np.random.default_rng(7)

    def matrix(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32) / 3

    hidden, wide = SHAPE.hidden, SHAPE.hidden * 4
    weights = {
        "embeddings.word_embeddings.weight": matrix(len(WORDS), hidden),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, hidden),
        "embeddings.token_type_embeddings.weight": matrix(2, hidden),
        "embeddings.LayerNorm.weight": 1 + matrix(hidden),
        "embeddings.LayerNorm.bias": matrix(hidden),
    }
    parts = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (wide, hidden),
        "output.dense": (hidden, wide),
    }
    for layer in range(SHAPE.layers):
        prefix = f"encoder.layer.{layer}"
        for part, shape in parts.items():
            weights[f"{prefix}.{part}.weight"] = matrix(*shape)
            weights[f"{prefix}.{part}.bias"] = matrix(shape[0])
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"{prefix}.{norm}.weight"] = 1 + matrix(hidden)
            weights[f"{prefix}.{norm}.bias"] = matrix(hidden)
    return weights


def write_tiny_model(folder: Path, **manifest: Any) -> Path:
    """A model folder; keyword arguments go into its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    save(build_sentence_encoder(tiny_weights(), SHAPE), folder / MODEL)
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(folder / TOKENIZER))
    return write_manifest(folder, **manifest)


def write_manifest(folder: Path, **manifest: Any) -> Path:
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL, TOKENIZER)}
    content = {"sha256": digests, "dimensions": SHAPE.hidden, "max_tokens": POSITIONS, "pooling": "none", **manifest}
    (folder / MANIFEST).write_text(json.dumps(content))
    return folder
