"""Objects to plan for: short to write, so that a test shows only what it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ragindex_core.object.resource import RagIndex, parse

BASE: dict[str, Any] = {
    "embedding": {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 384},
    "sources": [{"name": "docs", "directory": {"path": "docs"}}],
}


@pytest.fixture
def an_index() -> Callable[..., RagIndex]:
    """``an_index(chunking={...})``: an object whose spec has these parts besides the least there must be."""

    def make(
        *, generation: int = 1, annotations: dict[str, str] | None = None, deleted: bool = False, **spec: Any
    ) -> RagIndex:
        metadata: dict[str, Any] = {"name": "handbook", "uid": "5b0e", "generation": generation}
        metadata["annotations"] = {f"ragindex.io/{name}": value for name, value in (annotations or {}).items()}
        if deleted:
            metadata["deletionTimestamp"] = "2026-01-05T10:00:00Z"
        return parse(
            {"apiVersion": "ragindex.io/v1alpha1", "kind": "RagIndex", "metadata": metadata, "spec": {**BASE, **spec}},
            "handbook.yaml",
        )

    return make
