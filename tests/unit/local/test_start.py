"""Before anything is started: what is wrong is named, each file with its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ragindex_core.errors import InvalidSpec
from ragindex_local.up import UpOptions, run


def _write(file: Path, dimensions: object, name: str) -> None:
    embedding = {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": dimensions}
    spec = {"embedding": embedding, "sources": [{"name": "uploads", "uploads": {}}]}
    document = {"apiVersion": "ragindex.io/v1alpha1", "kind": "RagIndex", "metadata": {"name": name}, "spec": spec}
    file.write_text(yaml.safe_dump(document))


def test_each_broken_file_is_named_with_its_own_problems(tmp_path: Path) -> None:
    for name, dimensions in (("a", "many"), ("b", 100), ("c", 384)):
        _write(tmp_path / f"{name}.yaml", dimensions, name)
    with pytest.raises(InvalidSpec) as refused:
        run(UpOptions((tmp_path,), data=tmp_path / "data"))
    first, second = map(str, refused.value.problems)
    assert first.startswith(f"{tmp_path}/a.yaml: spec.embedding.dimensions: ")
    assert second.startswith(f"{tmp_path}/b.yaml: spec.embedding.dimensions: ")
    assert not (tmp_path / "data").exists()


def test_the_problems_of_one_file_are_under_its_name(tmp_path: Path) -> None:
    _write(tmp_path / "only.yaml", 100, "only")
    with pytest.raises(InvalidSpec) as refused:
        run(UpOptions((tmp_path,), data=tmp_path / "data"))
    assert refused.value.origin == str(tmp_path / "only.yaml")
    assert [problem.field for problem in refused.value.problems] == ["spec.embedding.dimensions"]
