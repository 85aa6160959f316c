"""Refuses what was made from the models of the object, and is no longer what they make."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ragindex_core.object.crd import manifest
from ragindex_core.object.reference import reference


def faults(made: Mapping[str, tuple[str, str]], root: Path) -> Iterator[str]:
    """``made`` tells of each file what it should hold, and which module prints that."""
    for name, (text, module) in made.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield f"{name} is not what the models make; run: .venv/bin/python -m {module} > {name}"


def main() -> int:
    made = {
        "k8s/crd/ragindexes.yaml": (manifest(), "ragindex_core.object.crd"),
        "docs/ragindex-object.md": (reference(), "ragindex_core.object.reference"),
    }
    found = list(faults(made, Path()))
    for each in found:
        sys.stderr.write(f"{each}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
