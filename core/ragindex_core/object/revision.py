"""The revision key: what makes stored vectors unusable when it changes, and nothing else.

The projection below is versioned and names every value it may leave out. A value equal to the one listed is left out,
so that a field added later, with what was true before it as its listed value, changes no key. The listed values are
history, not defaults: should a default of the spec change one day, they stay, and the new default is written out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from ragindex_core.object.spec import RagIndexSpec

Projection: TypeAlias = dict[str, str | int]

VERSION = 1

#: How title and heading path are put before a passage when it is embedded. Raise it when stored vectors no longer fit.
HEADING_FORMAT = 1

_LEFT_OUT: dict[str, str | int] = {
    "embedding.elementType": "HalfVector",
    "embedding.distance": "Cosine",
    "chunking.strategy": "Structural",
    "chunking.maxTokens": 300,
    "chunking.overlapTokens": 40,
    "chunking.headingFormat": 1,
}


def projection(spec: RagIndexSpec) -> Projection:
    """The part of the spec that the stored vectors depend on, without what is left out."""
    embedding, chunking = spec.embedding, spec.chunking
    values: Projection = {
        "embedding.provider": embedding.provider.value,
        "embedding.model": embedding.model,
        "embedding.dimensions": embedding.dimensions,
        "embedding.elementType": embedding.element_type.value,
        "embedding.distance": embedding.distance.value,
        "chunking.strategy": chunking.strategy.value,
        "chunking.maxTokens": chunking.max_tokens,
        "chunking.overlapTokens": chunking.overlap_tokens,
        "chunking.headingFormat": HEADING_FORMAT,
    }
    kept = {name: value for name, value in values.items() if _LEFT_OUT.get(name) != value}
    return {"version": VERSION, **kept}


def key_of(projection: Projection) -> str:
    """16 characters, a-z and 2-7: safe in names of tables, labels and paths."""
    canonical = json.dumps(projection, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return base64.b32encode(hashlib.sha256(canonical.encode()).digest()).decode()[:16].lower()


def revision_key(spec: RagIndexSpec) -> str:
    return key_of(projection(spec))


def complete(projection: Projection) -> dict[str, Any]:
    """A stored projection with what was left out put back: how the revision was really built."""
    return {**_LEFT_OUT, **projection}


def inputs_key(spec: RagIndexSpec, mirrored: Mapping[str, str | None] | None = None) -> str:
    """Changes when the sources or the revision key do: what a run is started for. ``mirrored`` are the versions, by
    source, of what was copied into the catalogue to be listed there."""
    sources = [source.model_dump(mode="json", by_alias=True, exclude_defaults=True) for source in spec.sources]
    inputs: dict[str, Any] = {"revision": revision_key(spec), "sources": sources}
    if mirrored:
        inputs["mirrored"] = dict(mirrored)
    canonical = json.dumps(inputs, sort_keys=True, ensure_ascii=True)
    return base64.b32encode(hashlib.sha256(canonical.encode()).digest()).decode()[:16].lower()
