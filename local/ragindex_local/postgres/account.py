"""Which account runs the server, and what it needs to reach its files.

An ordinary user runs it under the own account. PostgreSQL refuses root, so root hands it to the owner of the data or to
``nobody``; and since programs and data may lie below a closed folder (root's home), that account may need one
capability to pass. Nobody's folder is ever opened for it: that would outlive the server and let others pass too.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ragindex_core.errors import Misconfigured

CAP_DAC_OVERRIDE = 1  # passes and runs everything; what containers usually leave to root
CAP_DAC_READ_SEARCH = 2  # passes folders and reads files, writes nothing
CAP_SETPCAP = 8  # what it takes to hand one on


@dataclass(frozen=True, slots=True)
class Account:
    """``uid`` None keeps the account of this process."""

    uid: int | None = None
    gid: int | None = None
    capability: int | None = None

    def own(self, path: Path) -> None:
        """Give a file or folder that we made to the server's account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    @property
    def arguments(self) -> list[str]:
        """As launch.py takes them."""
        return [str(-1 if value is None else value) for value in (self.uid, self.gid, self.capability)]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What decides whether an account may pass or run a file."""

    uid: int
    gid: int
    mode: int

    @classmethod
    def of(cls, path: Path) -> FileFacts:
        info = path.stat()
        return cls(info.st_uid, info.st_gid, info.st_mode)

    def allows(self, uid: int, gid: int, bits: int) -> bool:
        """``bits`` as in a mode's last digit: 4 read, 2 write, 1 run or pass."""
        shift = 6 if uid == self.uid else 3 if gid == self.gid else 0
        return (stat.S_IMODE(self.mode) >> shift) & bits == bits


def capability_needed(folders: Iterable[FileFacts], program: FileFacts, uid: int, gid: int) -> int | None:
    """The least capability with which the account passes the folders and runs the program; None when none is needed."""
    if not program.allows(uid, gid, 1):
        return CAP_DAC_OVERRIDE
    reachable = program.allows(uid, gid, 4) and all(folder.allows(uid, gid, 1) for folder in folders)
    return None if reachable else CAP_DAC_READ_SEARCH


def capability_at_hand(needed: int | None, effective: int) -> int | None:
    """``needed`` or the stronger one that stands in for it, out of the ``effective`` set of this process."""
    if not effective >> CAP_SETPCAP & 1:
        return None
    for capability in (needed, CAP_DAC_OVERRIDE):
        if capability is not None and effective >> capability & 1:
            return capability
    return None


def choose(data: Path, program: Path) -> Account:
    """The account for a server with its data in ``data`` (a folder that exists), run from ``program``."""
    if os.geteuid() != 0:
        return Account()
    uid, gid = _server_ids(data)
    folders = {*data.resolve().parents, data.resolve(), *program.resolve().parents}
    needed = capability_needed([FileFacts.of(f) for f in folders], FileFacts.of(program), uid, gid)
    if needed is None:
        return Account(uid, gid)
    capability = capability_at_hand(needed, _effective_capabilities())
    if capability is None:
        raise Misconfigured(
            f"PostgreSQL refuses to run as root, and the account {_name(uid)} that runs it instead cannot reach "
            f"{program.parent} or {data}. Run as an ordinary user, or move the project, and the data with --data DIR, "
            "to where every account may pass."
        )
    return Account(uid, gid, capability)


def _server_ids(data: Path) -> tuple[int, int]:
    """The owner of the data stays its owner; data that is root's, or new, goes to nobody."""
    owner = data.stat()
    if owner.st_uid != 0:
        return owner.st_uid, owner.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Misconfigured(
            "PostgreSQL refuses to run as root, and this machine has no account `nobody` to run it instead: run as an "
            "ordinary user."
        ) from None
    return nobody.pw_uid, nobody.pw_gid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def _effective_capabilities() -> int:
    if sys.platform != "linux":
        return 0
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
