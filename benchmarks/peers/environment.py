"""The subjects' own environment, made once from pinned packages: they agree with RagIndex on no version of anything."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.stage import say
from ragindex_core.errors import Misconfigured

_FOLDER = ROOT / ".venv-peers"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")

#: Nobody is told of what is measured, and nothing is fetched.
QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "OTEL_SDK_DISABLED": "true",
}


def python() -> Path:
    """The environment's interpreter; installs what is missing, which takes some minutes the first time."""
    program = _FOLDER / "bin" / "python"
    stamp, wanted = _FOLDER / "installed", sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return program
    say(f"installing what is measured beside RagIndex into {_FOLDER.name} (once; a few minutes, 1.2 GB)")
    install = [str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    exactly = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(_REQUIREMENTS)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(_FOLDER)], [*install, *exactly]):
        if subprocess.run(command, check=False).returncode != 0:
            raise Misconfigured("pip could not install it: see what it says above, or set HTTPS_PROXY or PIP_INDEX_URL")
    stamp.write_text(wanted, encoding="ascii")
    return program


def versions() -> dict[str, str]:
    """Of what is measured: by the pinned list, a line ``name==version`` each."""
    wanted = ("chromadb", "lancedb", "langchain-postgres", "llama-index-vector-stores-postgres")
    pinned = (line.split(";")[0].split("\\")[0].strip() for line in _REQUIREMENTS.read_text("utf-8").splitlines())
    return {name: version for name, _, version in (line.partition("==") for line in pinned) if name in wanted}
