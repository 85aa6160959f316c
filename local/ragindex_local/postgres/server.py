"""One embedded PostgreSQL: from an empty, healthy or ill-treated folder to a url, and back to nothing running."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from ragindex_core.errors import Misconfigured, RagIndexError, Unavailable
from ragindex_local.postgres import account as accounts
from ragindex_local.postgres import binaries as wheel
from ragindex_local.postgres import failures, process, tuning
from ragindex_local.postgres.folder import Folder, Lock, new_password
from ragindex_local.postgres.guardian import Guardian
from ragindex_local.postgres.programs import Programs

ROLE = DATABASE = "ragindex"
NEEDED_BYTES = 128 * 1024 * 1024  # an empty database and its first log segments
PORT_ATTEMPTS = 5


class PortTaken(Unavailable):
    """Somebody else listens where the server should."""


class EmbeddedPostgres:
    """A PostgreSQL of this process's own, on 127.0.0.1, with its data in ``data_dir``.

    It is ready when ``start`` returns, and gone when ``stop`` returns or within a moment of this process's end, however
    that comes about. ``settings`` go over those chosen for this machine; ``progress`` hears what a start is doing.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        progress: Callable[[str], None] | None = None,
        start_timeout_seconds: float = 900,  # a crash recovery may replay gigabytes
        binaries: list[wheel.Binaries] | None = None,
    ) -> None:
        self._folder = Folder(data_dir.absolute())
        self._lock = Lock(self._folder)
        self._settings = dict(settings or {})
        self._progress = progress or (lambda _: None)
        self._timeout = start_timeout_seconds
        self._binaries = binaries
        self._guardian: Guardian | None = None
        self._programs: Programs | None = None
        self._port = 0
        self._stopping = threading.Event()
        self._changing = threading.Lock()

    def __repr__(self) -> str:
        return f"EmbeddedPostgres({str(self._folder.path)!r}, pid={self.pid}, port={self._port or None})"

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process; None while there is none."""
        return self._guardian.server_pid if self._guardian and self._guardian.running else None

    @property
    def port(self) -> int | None:
        return self._port or None

    @property
    def log(self) -> Path:
        """Where the server's own words go."""
        return self._folder.log

    def start(self) -> str:
        """Returns a SQLAlchemy url of the database ``ragindex``, for a role that may do everything. Raises
        Misconfigured, Conflict (the folder is in use) or Unavailable, each with a way out; nothing runs then."""
        if self._guardian is not None:
            raise RuntimeError("this embedded PostgreSQL has been started before")
        self._stopping.clear()
        available = self._binaries if self._binaries is not None else wheel.installed()
        self._folder.prepare()
        self._lock.acquire()
        try:
            return self._start(available)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise failures.explain(str(error), self._folder.path, None) from error
            raise

    def await_end(self) -> bool:
        """Returns when the server is gone: True when it was not ``stop`` that ended it."""
        guardian = self._guardian
        if guardian is not None:
            guardian.wait_for_end()
        return not self._stopping.is_set()

    def restart(self) -> None:
        """Bring a server back that ended by itself, on the port it had: its url stays true. Raises as ``start`` does,
        and may then be called again."""
        with self._changing:
            if self._programs is None:
                raise RuntimeError("this embedded PostgreSQL has not been started")
            if self._stopping.is_set():
                raise Unavailable("this embedded PostgreSQL has been told to stop")
            try:
                self._halt()
                process.end_leftover(self._folder.pgdata)
                self._launch(self._programs, self._port)
            except OSError as error:
                raise failures.explain(str(error), self._folder.path, None) from error

    def stop(self) -> None:
        """Stop the server the way that needs no recovery afterwards. Safe to call at any time."""
        self._stopping.set()
        with self._changing:
            self._halt()
            self._port = 0
            self._lock.release()

    def _start(self, available: list[wheel.Binaries]) -> str:
        self._folder.remove_halves()
        chosen = wheel.choose(available, self._folder.major(), self._folder.pgdata)
        home = self._folder.pgdata if self._folder.pgdata.exists() else self._folder.path
        account = accounts.choose(home, chosen.program("postgres"))
        programs = self._programs = Programs(chosen, account, self._folder.path)
        if self._folder.pgdata.exists():
            self._check_owner(account)
            if process.end_leftover(self._folder.pgdata) is not None:
                self._progress("Stopped a PostgreSQL that an earlier run had left behind")
        else:
            self._progress("Preparing a new database")
            self._make(programs, account)
        password = self._folder.password()
        if password is None:
            password = self._set_new_password(programs, account)
        self._run(programs)
        reply = programs.connect(self._port, ROLE, DATABASE, password)
        if reply.wrong_password:  # a password of another folder, copied in
            self._halt()
            password = self._set_new_password(programs, account)
            self._run(programs)
            reply = programs.connect(self._port, ROLE, DATABASE, password)
        if reply.no_database:
            programs.create_database(self._port, ROLE, DATABASE, password)
        elif not reply.ok:
            raise Unavailable(f"PostgreSQL runs but refuses its own owner: {reply.words}. The whole log: {self.log}")
        return f"postgresql+psycopg://{ROLE}:{password}@127.0.0.1:{self._port}/{DATABASE}"

    def _check_owner(self, account: accounts.Account) -> None:
        """PostgreSQL insists on owning its data, and on its being closed to others."""
        owner = self._folder.pgdata.stat().st_uid
        wanted = os.geteuid() if account.uid is None else account.uid
        if owner != wanted:
            raise Misconfigured(
                f"{self._folder.pgdata} belongs to account number {owner}, but would be run by number {wanted}. Give "
                f"it away (chown -R {wanted} {str(self._folder.pgdata)!r}), or choose another folder with --data DIR."
            )
        self._folder.pgdata.chmod(0o700)

    def _make(self, programs: Programs, account: accounts.Account) -> None:
        """A database is made beside its place and moved there when complete."""
        if shutil.disk_usage(self._folder.path).free < NEEDED_BYTES:
            raise failures.disk_full(self._folder.path)
        making = Path(tempfile.mkdtemp(prefix="making-", dir=self._folder.path))
        try:
            password = new_password()
            secret = making / "secret"
            secret.touch(mode=0o600)
            secret.write_text(password + "\n", encoding="ascii")
            account.own(secret)
            (making / "pgdata").mkdir(mode=0o700)
            account.own(making / "pgdata")
            account.own(making)
            programs.initdb(making / "pgdata", ROLE, secret)
            self._folder.keep_password(password)
            (making / "pgdata").rename(self._folder.pgdata)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _set_new_password(self, programs: Programs, account: accounts.Account) -> str:
        self._progress("The password of the database is lost or damaged; setting a new one")
        password = new_password()
        programs.set_password(self._folder.pgdata, account, password)
        self._folder.keep_password(password)
        return password

    def _run(self, programs: Programs) -> None:
        """Start the server on a free port and wait until it takes connections."""
        for attempt in range(PORT_ATTEMPTS):
            self._port = _free_port()
            try:
                self._launch(programs, self._port)
            except PortTaken:
                if attempt + 1 == PORT_ATTEMPTS:
                    raise
            else:
                return

    def _launch(self, programs: Programs, port: int) -> None:
        fixed = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        chosen = {**tuning.settings(tuning.Machine.this()), **self._settings, **fixed}
        guardian = self._guardian = Guardian(programs.server(self._folder.pgdata, chosen), self._folder)
        try:
            guardian.wait_until_ready(self._timeout, self._progress, self._stopping)
        except RagIndexError as error:
            words = guardian.words()
            self._halt()
            if failures.port_is_taken(words):
                raise PortTaken(f"another program has taken port {port}, which PostgreSQL used") from error
            raise

    def _halt(self) -> None:
        if self._guardian is not None:
            self._guardian.stop()
            self._guardian = None


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
