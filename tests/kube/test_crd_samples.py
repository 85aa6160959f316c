"""Each sample is what a person may apply."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kube.harness.kubectl import Kubectl

pytestmark = pytest.mark.usefixtures("crd")

SAMPLES = sorted((Path(__file__).parents[2] / "k8s" / "samples").glob("*.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_accepted_under_strict_validation(kubectl: Kubectl, sample: Path) -> None:
    said = kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={sample}")
    assert "ragindex.ragindex.io/" in said
    assert all(line.endswith(" (server dry run)") for line in said.splitlines())
