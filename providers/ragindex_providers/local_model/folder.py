"""A local sentence model on disk: ``model.onnx``, ``tokenizer.json``, and ``ragindex-model.json`` that pins them.

    {"sha256": {"model.onnx": "…", "tokenizer.json": "…"}, "dimensions": 384, "max_tokens": 512,
     "query_prefix": "query: ", "passage_prefix": "passage: ", "pooling": "mean", "normalise": true}

``max_tokens`` counts special tokens. ``pooling`` is ``mean``, ``cls``, or ``none`` for a graph that pools by itself.
Files are read once, checked against their digest, and used from memory: what was checked is what runs.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragindex_core.errors import Misconfigured

MANIFEST = "ragindex-model.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Digests(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Digest = Field(alias="model.onnx")
    tokenizer: Digest = Field(alias="tokenizer.json")


class ModelManifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Digests
    dimensions: int = Field(ge=1, le=16_000)
    max_tokens: int = Field(ge=8, le=32_768)
    query_prefix: str = Field(default="", max_length=1_000)
    passage_prefix: str = Field(default="", max_length=1_000)
    pooling: Literal["mean", "cls", "none"] = "mean"
    normalise: bool = True
    built_from: dict[str, str] = Field(default_factory=dict)  # digests of what a built model was made of


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Its contents, checked."""

    path: Path
    manifest: ModelManifest
    model: bytes
    tokenizer: bytes


def read_model_folder(path: Path, manifest_sha256: str | None = None) -> ModelFolder:
    """Raises Misconfigured for whatever is missing, malformed, or not what the digests say."""
    raw = _read(path / MANIFEST)
    if manifest_sha256 is not None:
        _check(path / MANIFEST, raw, manifest_sha256)
    try:
        manifest = ModelManifest.model_validate_json(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise Misconfigured(f"{path / MANIFEST}: {problems}") from error
    model, tokenizer = _read(path / MODEL), _read(path / TOKENIZER)
    _check(path / MODEL, model, manifest.sha256.model)
    _check(path / TOKENIZER, tokenizer, manifest.sha256.tokenizer)
    return ModelFolder(path, manifest, model, tokenizer)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error


def _check(path: Path, content: bytes, expected: str) -> None:
    actual = hashlib.sha256(content).hexdigest()
    if not hmac.compare_digest(actual, expected.lower()):
        raise Misconfigured(f"{path} has SHA-256 {actual}, not {expected}: it was damaged or replaced")
