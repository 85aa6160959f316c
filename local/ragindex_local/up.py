"""``ragindex up``: database, worker, reconciler and service, started in order and stopped in the reverse of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from ragindex_api import logging as json_logging
from ragindex_api.app import create_app
from ragindex_api.main import Providers
from ragindex_api.metrics import Metrics, MetricsServer
from ragindex_api.server import ApiServer
from ragindex_api.services import Services
from ragindex_api.settings import ApiSettings, LogLevel, ProviderEnvironment
from ragindex_core.errors import Conflict, FieldProblem, InvalidSpec, Misconfigured, RagIndexError
from ragindex_core.object.check import check
from ragindex_db.engine import AsyncDatabase, Database, DatabaseSettings
from ragindex_db.migrate import bootstrap, migrate
from ragindex_db.signals import Listener
from ragindex_local.cli.address import RUN_FILE
from ragindex_local.controller import Controller
from ragindex_local.objects import Read, check_given, read_all
from ragindex_local.postgres import EmbeddedPostgres, Keeper
from ragindex_local.progress import Progress
from ragindex_local.workforce import LocalWorkforce, WorkerProcess
from ragindex_operator.builds import Builds
from ragindex_operator.fence import Fence
from ragindex_operator.reconcile import Reconciler

log = logging.getLogger(__name__)

INSTALLATION = "local"
_QUESTION = "How many days of annual leave do I get?"


@dataclass(frozen=True, slots=True)
class UpOptions:
    given: tuple[Path, ...]
    data: Path = Path(".ragindex")
    host: str = "127.0.0.1"
    port: int = 8080
    metrics_port: int | None = None  # the one after the service's, if it is free; 0 for any
    json: bool = False  # say what happens as JSON lines


class LocalEnvironment(ProviderEnvironment):
    """What ``ragindex up`` takes from ``RAGINDEX_…`` variables. Models are built below the data folder."""

    database_url: SecretStr | None = None  # instead of the embedded server
    log_level: LogLevel = "INFO"
    api: ApiSettings = ApiSettings()


class Ending:
    """An end that comes from within: the first reason given stands, and ``run`` raises it when all is stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self.reason: RagIndexError | None = None

    def because(self, reason: RagIndexError) -> None:
        with self._lock:
            self.reason = self.reason or reason
            stop = self._stop
        if stop is not None:
            stop()

    def stops(self, stop: Callable[[], None]) -> None:
        """What to call; at once, when the end was asked for before there was anything to stop."""
        with self._lock:
            self._stop = stop
        if self.reason is not None:
            stop()


def run(options: UpOptions) -> None:
    """Until SIGINT or SIGTERM. Raises Misconfigured or InvalidSpec for what a person has to mend first, and why it
    ended when it did so by itself."""
    objects = _checked_objects(options)
    _check_alone(options.data)
    _check_port(options.host, options.port)
    environment = LocalEnvironment()
    data = _data_folder(options.data)
    json_logging.configure(environment.log_level, file=data / "ragindex.log")
    progress = Progress(as_json=options.json)
    progress.expect({item.index.path for item in objects})
    ending = Ending()
    with ExitStack() as stack:
        url = stack.enter_context(_database(environment, data, progress, ending))
        database = Database(DatabaseSettings(url=url, pool_size=6, application_name="ragindex-up"))
        stack.callback(database.close)
        bootstrap(database)
        migrate(database)
        _start_worker(stack, environment, data, url)
        _start_controller(stack, options, database, url, progress, ending)
        _serve(stack, options, environment, data, url, objects, progress, ending)
    progress.end("stopped")
    if ending.reason is not None:
        raise ending.reason


def _checked_objects(options: UpOptions) -> list[Read]:
    """At the start a broken file is refused; one that breaks later is told of, and what was in force stays so."""
    check_given(options.given)
    objects, faults = read_all(options.given)
    broken: dict[Path, list[FieldProblem]] = {}
    for fault in faults:
        broken.setdefault(fault.file, []).extend(fault.problems)
    for item in objects:
        if problems := check(item.index.spec):
            broken.setdefault(item.file, []).extend(problems)
    if len(broken) == 1:
        ((file, problems),) = broken.items()
        raise InvalidSpec(problems, str(file))
    if broken:
        named = [
            FieldProblem(f"{file}: {p.field}".strip(": "), p.message) for file, each in broken.items() for p in each
        ]
        raise InvalidSpec(named, "what -f names")
    return objects


def _check_alone(data: Path) -> None:
    """What is left of a run that was killed tells of a process that is no more, or of another one by now."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        run = json.loads((data / RUN_FILE).read_text(encoding="utf-8"))
        with socket.create_connection((urlsplit(run["url"]).hostname, urlsplit(run["url"]).port), timeout=1):
            os.kill(run["pid"], 0)
            raise Misconfigured(
                f"`ragindex up` runs with {data} already, at {run['url']}. Stop that one (Ctrl-C there, or "
                f"kill {run['pid']}), or name another folder with --data and another port with --port"
            )


def _check_port(host: str, port: int) -> None:
    """Before anything is started: the service binds it later for good."""
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {host}:{port}: {error.strerror}. "
                "Choose another port: make up PORT=8081, or ragindex up --port 8081"
            ) from error


def _data_folder(data: Path) -> Path:
    try:
        data.mkdir(parents=True, exist_ok=True)
        (data / "models").mkdir(exist_ok=True)
        (data / "scratch").mkdir(exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"{data} cannot be used: {error.strerror}. Name another folder with --data DIR") from error
    return data.absolute()


@contextmanager
def _database(environment: LocalEnvironment, data: Path, progress: Progress, ending: Ending) -> Iterator[str]:
    if environment.database_url is not None:
        yield environment.database_url.get_secret_value()
        return
    server = EmbeddedPostgres(data / "postgres", progress=progress.say)
    url = server.start()
    keeper = Keeper(server, progress.say, ending.because)
    keeper.start()
    try:
        yield url
    finally:
        keeper.stop()


def _start_worker(stack: ExitStack, environment: LocalEnvironment, data: Path, url: str) -> None:
    worker = WorkerProcess(
        {
            "RAGINDEX_DATABASE_URL": url,
            "RAGINDEX_INSTALLATION": INSTALLATION,
            "RAGINDEX_MODELS_DIR": str(data / "models"),
            "RAGINDEX_SCRATCH_DIR": str(data / "scratch"),
            "RAGINDEX_LOG_FILE": str(data / "worker.log"),
            "RAGINDEX_LOG_LEVEL": environment.log_level,
        },
        errors=data / "worker.log",
    )
    worker.start()
    stack.callback(worker.stop)


def _start_controller(
    stack: ExitStack, options: UpOptions, database: Database, url: str, progress: Progress, ending: Ending
) -> None:
    wake = threading.Event()
    builds = Builds(wake.set)
    stack.callback(builds.close)
    fence = Fence.raised(database, INSTALLATION, f"{socket.gethostname()}:{os.getpid()}")
    controller = Controller(
        database,
        Reconciler(database, fence, LocalWorkforce(), builds),
        options.given,
        report=progress.report,
        complain=lambda fault: progress.say(f"ignored, nothing was changed: {fault}"),
        superseded=lambda: ending.because(
            Conflict(
                "another `ragindex up` has taken over this database, so this one has stopped. Give each a database "
                "of its own (RAGINDEX_DATABASE_URL), or run only one"
            )
        ),
    )
    listener = Listener(url, lambda _topic: controller.wake())
    listener.start()
    stack.callback(listener.stop)
    controller.start()
    stack.callback(controller.stop)


def _serve(
    stack: ExitStack,
    options: UpOptions,
    environment: LocalEnvironment,
    data: Path,
    url: str,
    objects: list[Read],
    progress: Progress,
    ending: Ending,
) -> None:
    metrics = Metrics()
    providers = Providers(environment.providers(models_dir=data / "models"))
    stack.callback(providers.close)
    database = AsyncDatabase(
        DatabaseSettings(url=url, pool_size=8, application_name="ragindex-api", statement_timeout_ms=10_000)
    )
    services = Services(
        database=database,
        installation=INSTALLATION,
        open_embedder=providers.embedder,
        open_generator=providers.generator,
        metrics=metrics,
    )
    server = ApiServer(create_app(services, environment.api), environment.api, options.host, options.port)
    numbers = _metrics_server(metrics, options, server.port)
    stack.callback(numbers.close)
    ending.stops(server.stop)
    address = f"http://{options.host}:{server.port}"
    stack.enter_context(_run_file(data, address, url))
    announce = threading.Thread(
        target=_announce, args=(server, progress, address, numbers.port, objects), name="announce", daemon=True
    )
    announce.start()

    async def serve() -> None:
        try:
            await server.serve()
        finally:
            await database.close()

    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(serve())


def _metrics_server(metrics: Metrics, options: UpOptions, service_port: int) -> MetricsServer:
    wanted = service_port + 1 if options.metrics_port is None else options.metrics_port
    try:
        return MetricsServer(metrics, options.host, wanted)
    except (OSError, OverflowError) as error:  # taken, or beyond the last port there is
        if options.metrics_port is None:
            return MetricsServer(metrics, options.host, 0)
        raise Misconfigured(f"cannot listen on {options.host}:{wanted} for metrics: {error}") from error


@contextmanager
def _run_file(data: Path, address: str, database_url: str) -> Iterator[None]:
    """Where the command line finds us. It holds the database's password: for the owner's eyes alone."""
    path = data / RUN_FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(
            {"url": address, "database_url": database_url, "installation": INSTALLATION, "pid": os.getpid()}, file
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _announce(server: ApiServer, progress: Progress, address: str, metrics_port: int, objects: list[Read]) -> None:
    server.ready.wait()
    progress.say(
        f"RagIndex answers on {address}  (API reference: {address}/docs, metrics on port {metrics_port})",
        url=address,
        metrics_port=metrics_port,
    )
    if not objects:
        return
    progress.settled.wait()
    path = objects[0].index.path
    url = f"{address}/v1/indexes/{path}/answer"
    question = json.dumps({"question": _QUESTION})
    command = f"curl -s {url} -H 'Content-Type: application/json' -d '{question}'"
    progress.say(f"\nAsk it something:\n\n  {command}\n\nCtrl-C stops it.")
