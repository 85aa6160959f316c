"""An installation for each test: its own namespace, database and operator, on the session's control plane and node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kube.harness.api import Api
from tests.kube.harness.control_plane import ControlPlane, GivenCluster
from tests.kube.harness.process_kubelet import ProcessKubelet
from tests.kube.operator.installation import Installation
from tests.kube.operator.mortals import Mortals
from tests.kube.operator.scene import Theatre

from ragindex_db.engine import Database
from ragindex_providers.testing.openai_server import FakeOpenAIServer


@pytest.fixture(scope="session")
def models() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer() as server:
        yield server


@pytest.fixture
def bare_installation(
    control_plane: ControlPlane | GivenCluster,
    crd: None,
    api: Api,
    namespace: str,
    database_url: str,
    database: Database,
    models: FakeOpenAIServer,
    tmp_path: Path,
) -> Iterator[Installation]:
    """Without a node: Jobs are made, and their pods stay pending."""
    kubeconfig = control_plane.kubeconfig
    made = Installation(api, kubeconfig, namespace, database_url, database, tmp_path, models)
    made.set_up()
    yield made
    made.close()


@pytest.fixture
def installation(bare_installation: Installation, node: ProcessKubelet) -> Installation:
    return bare_installation


@pytest.fixture
def mortals(tmp_path: Path) -> Iterator[Mortals]:
    mortals = Mortals(tmp_path)
    yield mortals
    mortals.close()


@pytest.fixture
def theatre(
    control_plane: ControlPlane | GivenCluster,
    crd: None,
    api: Api,
    server_url: str,
    template: str,
    models: FakeOpenAIServer,
    mortals: Mortals,
    tmp_path: Path,
) -> Iterator[Theatre]:
    made = Theatre(api, control_plane.kubeconfig, server_url, template, tmp_path, models, mortals)
    yield made
    made.close()
