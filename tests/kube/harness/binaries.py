"""Finds the programs of a control plane, or builds them once.

In this order: the folder that ``KUBEBUILDER_ASSETS`` names, ``PATH``, the user's cache folder, and, when they are not
there yet, a build out of Go modules into it. A place counts when it has all of them, so that versions are never mixed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "1.34.4"
ETCD = "3.6.8"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_GO_MOD = "module tools\n\ngo 1.24.0\n"
_ETCD_MAIN = """package main

import (
\t"os"

\t"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""
_TOLD_EVERY_SECONDS = 30

Say = Callable[[str], None]


class Missing(Exception):
    """What is not there, and the way to get it."""


@dataclass(frozen=True, slots=True)
class Binaries:
    etcd: Path
    api_server: Path
    controller_manager: Path
    kubectl: Path


def find(say: Say) -> Binaries:
    """Give the programs, built if need be; ``say`` is told how far that is."""
    for place in _places():
        paths = [path for name in NAMES if (path := place(name))]
        if len(paths) == len(NAMES):
            return Binaries(*paths)
    build(NAMES, cache_folder(), say)
    return Binaries(*(cache_folder() / name for name in NAMES))


def find_kubectl(say: Say) -> Path:
    """Give kubectl alone, to speak to a cluster that is there already."""
    for place in _places():
        if path := place("kubectl"):
            return path
    build(["kubectl"], cache_folder(), say)
    return cache_folder() / "kubectl"


def cache_folder() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "ragindex" / f"kubernetes-{KUBERNETES}"


def _places() -> Iterator[Callable[[str], Path | None]]:
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        yield lambda name: _program(name, assets)
    yield lambda name: _program(name, None)
    yield lambda name: _program(name, str(cache_folder()))


def _program(name: str, path: str | None) -> Path | None:
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def build(names: Sequence[str], folder: Path, say: Say) -> None:
    """Build what is not there yet. Of several that try at once, one builds and the others wait for it."""
    go = shutil.which("go")
    if go is None:
        raise Missing(
            f"{', '.join(names)} are neither in KUBEBUILDER_ASSETS nor on PATH nor in {folder}, and without Go (1.21 "
            "or newer, https://go.dev/dl) they cannot be built. Or name a cluster's kubeconfig in "
            "RAGINDEX_TEST_KUBECONFIG."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock"), say):
        absent = [name for name in names if not (folder / name).exists()]
        for number, name in enumerate(absent, 1):
            tell = _prefixed(say, f"building {name} ({number} of {len(absent)}, once, into {folder})")
            with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as module:
                _build_one(go, name, Path(module), folder / name, tell)


def _build_one(go: str, name: str, module: Path, target: Path, tell: Say) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    run = _Runner(module, environment, tell)
    begun = time.monotonic()
    tell("begins")
    flags = "-s -w"
    if name == "etcd":
        (module / "go.mod").write_text(_GO_MOD)
        (module / "main.go").write_text(_ETCD_MAIN)
        run(go, "get", f"go.etcd.io/etcd/server/v3@v{ETCD}")
        package = "."
    else:
        (module / "go.mod").write_text(_kubernetes_module(run(go, "mod", "download", "-json", _module())))
        package = f"k8s.io/kubernetes/cmd/{name}"
        # Without its version a server tells a made-up one, and clients misjudge what it can do.
        major, minor, _ = KUBERNETES.split(".")
        for variable, value in {"Version": f"v{KUBERNETES}", "Major": major, "Minor": minor}.items():
            flags += f" -X k8s.io/component-base/version.git{variable}={value}"
    built = module / name
    run(go, "build", "-trimpath", "-ldflags", flags, "-o", str(built), package)
    built.rename(target)
    tell(f"took {time.monotonic() - begun:.0f} s")


def _module() -> str:
    return f"k8s.io/kubernetes@v{KUBERNETES}"


def _kubernetes_module(downloaded: str) -> str:
    """The module that builds Kubernetes' commands: it requires its own parts at v0.0.0, which are published as v0.X."""
    text = Path(json.loads(downloaded)["GoMod"]).read_text()
    parts = sorted(set(re.findall(r"(k8s\.io/[a-z0-9-]+) v0\.0\.0$", text, re.MULTILINE)))
    version = f"v0.{KUBERNETES.partition('.')[2]}"
    replaced = "".join(f"\t{part} => {part} {version}\n" for part in parts)
    return f"{_GO_MOD}\nrequire k8s.io/kubernetes v{KUBERNETES}\n\nreplace (\n{replaced})\n"


@dataclass(frozen=True, slots=True)
class _Runner:
    folder: Path
    environment: dict[str, str]
    tell: Say

    def __call__(self, *command: str) -> str:
        """Run it and give its output; say now and then that it still runs."""
        begun = time.monotonic()
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process:
            while True:
                try:
                    output, errors = process.communicate(timeout=_TOLD_EVERY_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    self.tell(f"{time.monotonic() - begun:.0f} s")
                except BaseException:
                    process.kill()
                    raise
        if process.returncode:
            last = "\n".join((errors or output).splitlines()[-15:])
            raise Missing(f"`{' '.join(command[:3])} …` failed with exit code {process.returncode}:\n{last}")
        return output


def _prefixed(say: Say, prefix: str) -> Say:
    return lambda text: say(f"{prefix}: {text}")


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building Kubernetes' programs; waiting for it ({path})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
