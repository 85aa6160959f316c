"""A real control plane, a pretend node that runs pods as processes, and what tests need to speak to them.

Databases come from ``tests/conftest.py``. Without Go and without the programs tests are skipped and say what is
missing; where CI is true they fail.
"""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.kube.harness import binaries
from tests.kube.harness.api import Api, ApiError, Object
from tests.kube.harness.api_proxy import ApiProxy
from tests.kube.harness.control_plane import ControlPlane, GivenCluster
from tests.kube.harness.kubectl import Kubectl
from tests.kube.harness.process_kubelet import ProcessKubelet

_CHECKOUT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("RAGINDEX_KUBE") != "long":
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes a minute or more: make test-kube"))


@pytest.fixture(scope="session")
def control_plane(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane | GivenCluster]:
    """The one of the whole session: the cluster that ``RAGINDEX_TEST_KUBECONFIG`` names, else our own."""
    folder = tmp_path_factory.mktemp("control-plane")
    given = os.environ.get("RAGINDEX_TEST_KUBECONFIG")
    found: ControlPlane | GivenCluster
    try:
        if given:
            found = GivenCluster(Path(given), binaries.find_kubectl(_sayer(pytestconfig)), folder)
        else:
            found = ControlPlane(binaries.find(_sayer(pytestconfig)), folder)
    except binaries.Missing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no control plane: {missing}")
    yield found
    found.stop()


@pytest.fixture
def own_control_plane(control_plane: ControlPlane | GivenCluster) -> Iterator[ControlPlane]:
    """For tests that kill its API server or read its certificates; it is up again after each."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("needs a control plane of its own: unset RAGINDEX_TEST_KUBECONFIG")
    yield control_plane
    control_plane.ensure_api_server()


@pytest.fixture
def api_proxy(own_control_plane: ControlPlane) -> Iterator[ApiProxy]:
    proxy = ApiProxy(own_control_plane)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane | GivenCluster) -> Api:
    """As the admin."""
    return control_plane.api


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane | GivenCluster) -> Kubectl:
    """As the admin."""
    return Kubectl(control_plane.kubectl, control_plane.kubeconfig, control_plane.folder / "kubectl-cache")


@pytest.fixture(scope="session")
def crd(kubectl: Kubectl, api: Api) -> None:
    """The API server knows RagIndex objects."""
    kubectl("apply", "--server-side", f"--filename={_CHECKOUT / 'k8s' / 'crd'}")
    # `kubectl wait` fails on a definition so new that its conditions are null.
    api.until("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ragindexes.ragindex.io", _is_established)


def _is_established(definition: Object | None) -> bool:
    conditions = (definition or {}).get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


@pytest.fixture
def node(session_node: ProcessKubelet, namespace: str) -> Iterator[ProcessKubelet]:
    """Runs the pods of the test's namespace, and of those that are added to its ``namespaces``."""
    session_node.namespaces.add(namespace)
    yield session_node
    session_node.namespaces.clear()


@pytest.fixture(scope="session")
def session_node(
    control_plane: ControlPlane | GivenCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessKubelet]:
    """Runs pods as processes; the command ``ragindex`` is this checkout's."""
    if others := control_plane.api.get("/api/v1/nodes")["items"]:
        names = ", ".join(other["metadata"]["name"] for other in others)
        pytest.skip(f"pods would go to the given cluster's own nodes, not to processes: {names}")
    programs = {name: str(Path(sys.executable).with_name(name)) for name in ("ragindex", "python")}
    kubelet = ProcessKubelet(control_plane.kubeconfig, tmp_path_factory.mktemp("node"), programs=programs)
    yield kubelet
    kubelet.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A fresh one, in which pods can be made; it goes in the background."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Controllers that long found no API server look for it again after a minute.
    api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool, 120)
    yield name
    with contextlib.suppress(ApiError, httpx2.TransportError):  # a test may have taken it, or the API server, away
        api.delete(f"/api/v1/namespaces/{name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What failed comes with the last words of the control plane it failed on."""
    report = yield
    found = getattr(item, "funcargs", {}).get("control_plane")
    if report.failed and isinstance(found, ControlPlane):
        report.sections.append(("control plane", found.tail()))
    return report


def _sayer(config: pytest.Config) -> binaries.Say:
    """Past pytest's capture: a build takes minutes and must not look like a hang."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            print(f"\n{text}", end="", file=sys.stderr, flush=True)  # noqa: T201

    return say
