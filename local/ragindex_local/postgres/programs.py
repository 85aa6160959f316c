"""PostgreSQL's programs, each called for one purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragindex_core.errors import Unavailable
from ragindex_local.postgres import failures
from ragindex_local.postgres.account import Account
from ragindex_local.postgres.binaries import Binaries

LAUNCH = Path(__file__).with_name("launch.py")
#: Nothing of the caller's environment, in which PGHOST and the like would mislead; English messages.
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
NEW_PASSWORD = "ragindex-new-password"  # noqa: S105 - a file in the data folder
#: For a server that nobody can log in to any more: single-user mode knows no passwords. The new one is read from a
#: file, so that it shows neither in this text nor in a list of processes.
SET_PASSWORD = (
    "DO $$ BEGIN EXECUTE format('ALTER ROLE ragindex PASSWORD %L', "  # noqa: S105 - a statement
    "trim(both E' \\n' from pg_read_file('ragindex-new-password'))); END $$;"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a server received its owner."""

    ok: bool
    words: str

    @property
    def wrong_password(self) -> bool:
        return "password authentication failed" in self.words

    @property
    def no_database(self) -> bool:
        return "database" in self.words and "does not exist" in self.words


@dataclass(frozen=True, slots=True)
class Programs:
    binaries: Binaries
    account: Account
    data: Path  # for messages

    def server(self, pgdata: Path, settings: Mapping[str, str]) -> list[str]:
        """The command of a server with its guardian."""
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return self._launch("guard", "postgres", "-D", str(pgdata), *options)

    def initdb(self, pgdata: Path, role: str, password_file: Path) -> None:
        """Make a database in the empty folder ``pgdata``. Text is UTF-8 and compares alike on every machine."""
        if self.binaries.major >= 17:
            options = ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            options = ["--locale=C.UTF-8"]
        if self.binaries.major >= 17 and sys.platform == "linux":
            options.append("--sync-method=syncfs")  # one call instead of a thousand: a quarter of the time
        scram = ["--auth=scram-sha-256", f"--username={role}", f"--pwfile={password_file}"]
        command = self._launch("run", "initdb", "-D", str(pgdata), "--encoding=UTF8", *options, *scram)
        done = _run(command)
        if done.returncode != 0:
            raise failures.explain(done.stdout + done.stderr, self.data, None)

    def set_password(self, pgdata: Path, account: Account, password: str) -> None:
        """Give the owner another password; no server may be running."""
        secret = pgdata / NEW_PASSWORD
        try:
            secret.touch(mode=0o600)
            secret.write_text(password, encoding="ascii")
            account.own(secret)
            command = self._launch(
                "run", "postgres", "--single", "-D", str(pgdata), "-c", "exit_on_error=on", "postgres"
            )
            done = _run(command, SET_PASSWORD + "\n")
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode != 0:
            raise failures.explain(done.stdout + done.stderr, self.data, None)

    def connect(self, port: int, role: str, database: str, password: str) -> Reply:
        """Whether the server takes this password and has this database."""
        command = [*self._client("psql", port, role), "--no-psqlrc", f"--dbname={database}", "--command=\\conninfo"]
        done = _run(command, password=password)
        return Reply(done.returncode == 0, done.stderr.strip())

    def create_database(self, port: int, role: str, database: str, password: str) -> None:
        done = _run([*self._client("createdb", port, role), database], password=password)
        if done.returncode != 0:
            raise failures.explain(done.stderr, self.data, None)

    def _client(self, name: str, port: int, role: str) -> list[str]:
        return [
            str(self.binaries.program(name)),
            "--host=127.0.0.1",
            f"--port={port}",
            f"--username={role}",
            "--no-password",
        ]

    def _launch(self, mode: str, program: str, *arguments: str) -> list[str]:
        python = [sys.executable, "-I", "-S", str(LAUNCH)]
        owner = str(os.getpid())
        return [*python, mode, *self.account.arguments, owner, str(self.binaries.program(program)), *arguments]


def _run(command: Sequence[str], text: str = "", *, password: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = (
        ENVIRONMENT if password is None else {**ENVIRONMENT, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "30"}
    )
    try:
        return subprocess.run(  # noqa: S603 - programs of our own wheel, arguments as a list
            command,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd="/",
            env=environment,
            check=False,
        )
    except OSError as error:
        raise Unavailable(f"{command[0]} could not be run: {error}") from error
