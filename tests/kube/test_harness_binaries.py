"""The programs of a control plane are found or built, once, or what is missing is said."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.kube.harness import binaries

_GO = """#!{python}
import json, pathlib, sys
folder, command = pathlib.Path(__file__).parent, sys.argv[1]
if (folder / "broken").exists():
    sys.exit("no route to host")
if command == "mod":
    module = folder / "kubernetes.mod"
    module.write_text("require (\\n\\tk8s.io/api v0.0.0\\n\\tk8s.io/klog/v2 v2.130.1\\n)\\n")
    print(json.dumps({{"GoMod": str(module)}}))
if command == "build":
    target = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    target.write_text(pathlib.Path("go.mod").read_text())
    target.chmod(0o755)
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that builds in no time, and no programs but that."""
    program = tmp_path / "path" / "go"
    program.parent.mkdir()
    program.write_text(_GO.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return program


@pytest.mark.usefixtures("go")
class TestBinaries:
    def test_are_built_once_though_many_want_them(self) -> None:
        said: list[str] = []
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: binaries.find(said.append), range(4)))

        assert len(set(found)) == 1
        assert found[0].etcd.parent == binaries.cache_folder()
        begun = [line.split()[1] for line in said if line.endswith("begins")]
        assert begun == list(binaries.NAMES)

    def test_are_built_with_the_parts_of_their_version(self) -> None:
        module = binaries.find(lambda _: None).api_server.read_text()

        assert f"k8s.io/kubernetes v{binaries.KUBERNETES}" in module
        replaced = [line.split() for line in module.splitlines() if "=>" in line]
        assert replaced == [["k8s.io/api", "=>", "k8s.io/api", "v0.34.4"]]

    def test_are_taken_from_the_folder_that_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in binaries.NAMES:
            (tmp_path / name).touch(0o755)
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

        assert binaries.find(lambda _: None).kubectl == tmp_path / "kubectl"

    def test_that_cannot_be_built_are_told_of(self, go: Path) -> None:
        go.with_name("broken").touch()

        with pytest.raises(binaries.Missing, match="no route to host"):
            binaries.find(lambda _: None)

        assert list(binaries.cache_folder().iterdir()) == []

    def test_without_go_say_what_would_help(self, go: Path) -> None:
        go.unlink()

        with pytest.raises(binaries.Missing, match=r"etcd, .*KUBEBUILDER_ASSETS.*go\.dev/dl.*RAGINDEX_TEST_KUBECONFIG"):
            binaries.find(lambda _: None)
