"""The samples are valid, also in what no schema can check, and show what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ragindex_core.object.check import check
from ragindex_core.object.resource import parse

SAMPLES = sorted((Path(__file__).parents[4] / "k8s" / "samples").glob("*.yaml"))


def objects(sample: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(sample.read_text(encoding="utf-8")) if each["kind"] == "RagIndex"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_can_work(sample: Path) -> None:
    (body,) = objects(sample)
    assert check(parse(body, str(sample)).spec) == []


def test_a_config_map_that_a_sample_reads_comes_with_it() -> None:
    documents = list(yaml.safe_load_all((SAMPLES[0].parent / "configmap.yaml").read_text(encoding="utf-8")))
    config_map, index = documents
    assert index["spec"]["sources"][0]["configMap"]["name"] == config_map["metadata"]["name"]
    assert config_map["kind"] == "ConfigMap"


def test_the_samples_show_every_kind_of_source_and_every_provider() -> None:
    specs = [parse(body, sample.name).spec for sample in SAMPLES for body in objects(sample)]
    kinds = {kind for spec in specs for source in spec.sources for kind in source.model_dump(exclude_none=True)}
    assert {"s3", "config_map", "directory", "uploads"} <= kinds
    assert {spec.embedding.provider.value for spec in specs} == {"Bedrock", "OpenAI", "Local"}
