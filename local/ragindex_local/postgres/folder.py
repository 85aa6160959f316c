"""The folder an embedded server lives in, and what may be wrong with it.

lock           held while a server is wanted here; says by whom
password       of the database's owner, for its owner's eyes only
pgdata/        PostgreSQL's own, complete or not there at all: it is made in making-*/ and then renamed
server.log     what the server said; server.log.1 is the one before
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ragindex_core.errors import Conflict, Misconfigured
from ragindex_local.postgres import failures

PASSWORD = re.compile(r"[0-9a-f]{64}")
LOG_LIMIT_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    def hand_over(self, descriptor: int) -> None:
        """What root makes in somebody else's folder is that person's."""
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    @property
    def pgdata(self) -> Path:
        return self.path / "pgdata"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def password_file(self) -> Path:
        return self.path / "password"

    def prepare(self) -> None:
        """Make sure that it is there and that we may write in it."""
        try:
            made = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            if made:  # root's server runs under another account, which must pass; what lies inside is closed by itself
                self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> Misconfigured:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return failures.disk_full(self.path)
        return Misconfigured(
            f"The database cannot be kept in {self.path}: {error.strerror or error}. Choose a folder that you may "
            f"write in with {failures.ELSEWHERE}."
        )

    def major(self) -> int | None:
        """The PostgreSQL that made the data; None while there is none."""
        if not self.pgdata.exists():
            return None
        try:
            return int((self.pgdata / "PG_VERSION").read_text(encoding="ascii").strip())
        except PermissionError as error:
            raise Misconfigured(
                f"{self.pgdata} belongs to another account. Run as the account that made it, or choose another folder "
                f"with {failures.ELSEWHERE}."
            ) from error
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"{self.pgdata} is not a database of RagIndex (its PG_VERSION cannot be read). Move it away, "
                f"{failures.ANEW}."
            ) from error

    def password(self) -> str | None:
        """None when there is no usable one: the file is missing or damaged."""
        try:
            text = self.password_file.read_text(encoding="ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        except OSError as error:
            raise self._unusable(error) from error
        return text if PASSWORD.fullmatch(text) else None

    def keep_password(self, password: str) -> None:
        """Whole or not at all; closed to others from the first byte on."""
        descriptor, name = tempfile.mkstemp(prefix="password-", dir=self.path)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(password + "\n")
            self.hand_over(file.fileno())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self.password_file)

    def remove_halves(self) -> None:
        """What an interrupted start left: half-made databases and passwords."""
        for path in self.path.glob("making-*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.path.glob("password-*"):
            path.unlink(missing_ok=True)

    def open_log(self) -> int:
        """A descriptor for the server to write its log to."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.path / "server.log.1")
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.hand_over(descriptor)
        return descriptor


def new_password() -> str:
    return secrets.token_hex(32)


class Lock:
    """At most one RagIndex a folder. The kernel lets go of it whichever way its holder ends."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.path / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises Conflict, naming the holder, when there is one."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", errors="replace").strip()
            os.close(descriptor)
            raise Conflict(
                f"The data in {self._path.parent} is in use by another RagIndex (process {holder or 'unknown'}). Stop "
                "it (Ctrl-C in its terminal, or `kill` with that number), or choose another folder with "
                f"{failures.ELSEWHERE}."
            ) from error
        self._folder.hand_over(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        os.register_at_fork(after_in_child=self.release)  # a child that outlives us must not seem to be us

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
