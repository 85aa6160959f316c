"""Public test collections, where they lie beside the checkout. They are no part of RagIndex."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks.machine import ROOT


def folder(name: str) -> Path | None:
    """``$RAGINDEX_DATA/name`` or ``../shared/data/name``; None when it is not there."""
    found = Path(os.environ.get("RAGINDEX_DATA", ROOT.parent / "shared" / "data")) / name
    return found if found.is_dir() else None


def passages(corpus: Path) -> list[tuple[str, str, str]]:
    """Id, title and text of each document of a ``corpus.jsonl``."""
    with corpus.open(encoding="utf-8") as lines:
        return [(each["id"], each["title"], each["text"]) for each in map(json.loads, lines)]
