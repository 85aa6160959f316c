"""Every object that is refused."""

from __future__ import annotations

from tests.kube.crd_corpus import Invalid
from tests.kube.invalid.parts import GENERATION, INGESTION, RETRIEVAL, SOURCES
from tests.kube.invalid.spec import CHUNKING, EDITS, EMBEDDING, INDEX, OBJECT, ROLLOUT

CASES: tuple[Invalid, ...] = (
    *OBJECT,
    *EMBEDDING,
    *CHUNKING,
    *INDEX,
    *SOURCES,
    *INGESTION,
    *ROLLOUT,
    *RETRIEVAL,
    *GENERATION,
)

__all__ = ["CASES", "EDITS"]
