"""The sample object is valid, and its documents are where it says."""

from __future__ import annotations

from pathlib import Path

import yaml

from ragindex_core.object.resource import parse

REPOSITORY = Path(__file__).parents[3]
QUICKSTART = REPOSITORY / "k8s" / "samples" / "quickstart.yaml"


def test_the_quickstart_object_is_valid_and_finds_its_handbook() -> None:
    document = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    quickstart = parse(document, str(QUICKSTART))
    assert quickstart.metadata.name == "quickstart"
    (path,) = [source.directory.path for source in quickstart.spec.sources if source.directory is not None]
    documents = {found.suffix for found in (QUICKSTART.parent / path).iterdir()}
    assert {".pdf", ".docx", ".xlsx", ".pptx", ".md", ".html", ".txt", ".csv", ".vtt", ".eml"} <= documents
