"""What runs: everything on one machine (`up`), or one part of it as its container runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragindex_core.errors import Misconfigured, NotReady
from ragindex_local.cli import address
from ragindex_local.cli.command import command, json_option
from ragindex_local.cli.failures import ExitCode, Unmendable
from ragindex_local.cli.output import as_json, say

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from ragindex_db.engine import Database
    from ragindex_operator.cluster.settings import OperatorEnvironment

_PORT = click.IntRange(0, 65535)
_LOOK_SECONDS = 1.0


@command("up")
@click.option(
    "-f",
    "--file",
    "given",
    multiple=True,
    metavar="FILE|DIR",
    type=click.Path(exists=True, path_type=Path),
    help="RagIndex objects to follow; an edit takes effect at once. May be given more than once.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=address.DEFAULT_DATA,
    show_default=True,
    metavar="DIR",
    help="Folder for everything that is written.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=_PORT, default=8080, show_default=True, help="Port of the service; 0 for any free one.")
@click.option(
    "--metrics-port",
    type=_PORT,
    help="Port of /metrics; 0 for any free one.  [default: the one after --port if it is free, else any]",
)
@json_option
def up(given: tuple[Path, ...], data: Path, host: str, port: int, metrics_port: int | None, json_: bool) -> None:
    """Run everything on this machine: database, service, worker and reconciler. Ctrl-C stops it.

    The database is one that is brought along, or the one that RAGINDEX_DATABASE_URL names.
    """
    from ragindex_local.up import UpOptions, run

    with _settings_named():
        run(UpOptions(given=given, data=data, host=host, port=port, metrics_port=metrics_port, json=json_))


@command("migrate")
@click.option("--wait", is_flag=True, help="Change nothing; wait until someone else has migrated.")
@click.option("--bootstrap", is_flag=True, help="First make the extension and the schemas, which needs more rights.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, metavar="SECONDS", help="With --wait."
)
@json_option
def migrate(wait: bool, bootstrap: bool, timeout: float, json_: bool) -> None:
    """Bring the database of RAGINDEX_DATABASE_URL to the version that this RagIndex needs."""
    from ragindex_db import migrate as migrations
    from ragindex_db.engine import Database, DatabaseSettings

    url = os.environ.get("RAGINDEX_DATABASE_URL")
    if url is None:
        raise Misconfigured("set RAGINDEX_DATABASE_URL to the database to migrate")
    database = Database(DatabaseSettings(url=url, pool_size=2, application_name="ragindex-migrate"))
    try:
        if wait:
            _wait(database, timeout)
        else:
            if bootstrap:
                migrations.bootstrap(database)
            migrations.migrate(database)
        version = database.run(migrations.current_version)
    finally:
        database.close()
    if json_:
        as_json({"version": version})
    else:
        say(f"the database is at version {version}")


def _wait(database: Database, timeout: float) -> None:
    import time

    from ragindex_db.migrate import wait_until_migrated

    until = time.monotonic() + timeout

    def pause() -> bool:
        left = until - time.monotonic()
        time.sleep(max(min(left, _LOOK_SECONDS), 0))  # a migration announces itself by nothing but its result
        return left > 0

    if not wait_until_migrated(database, pause):
        raise NotReady(f"nobody migrated the database in {timeout:g} s; run `ragindex migrate`")


@command("api")
def api() -> None:
    """Run the service alone. It is told what it needs by RAGINDEX_… variables, see docs/configuration.md."""
    from ragindex_api.main import run
    from ragindex_api.settings import ApiEnvironment

    with _settings_named():
        environment = ApiEnvironment()  # type: ignore[call-arg]  # filled from the environment
    run(environment)


@command("operator")
@click.option("--once", is_flag=True, help="Look at every object until nothing is left to do but to wait, and end.")
@click.option("--dry-run", is_flag=True, help="Print what would be done next, and change nothing.")
@json_option
def operator(once: bool, dry_run: bool, json_: bool) -> None:
    """Run the operator alone: turn RagIndex objects of a cluster into tables, Jobs and CronJobs.

    In a pod it is who its service account says; elsewhere it uses the kubeconfig of RAGINDEX_KUBECONFIG, or your own.
    """
    from ragindex_api import logging as json_logging
    from ragindex_operator.cluster.main import run
    from ragindex_operator.cluster.settings import OperatorEnvironment

    with _settings_named():
        environment = OperatorEnvironment()  # type: ignore[call-arg]  # filled from the environment
    json_logging.configure(environment.log_level)
    if dry_run:
        _show_intentions(environment, json_=json_)
    else:
        run(environment, once=once)


def _show_intentions(environment: OperatorEnvironment, *, json_: bool) -> None:
    from ragindex_operator.cluster.main import connect
    from ragindex_operator.cluster.once import intentions

    found = list(intentions(environment, connect(environment)))
    if json_:
        as_json({"items": [{"index": i.index, "actions": i.actions, "problems": i.problems} for i in found]})
        return
    for each in found:
        say(each.index)
        for line in (*each.actions, *(f"problem: {problem}" for problem in each.problems)) or ("nothing to do",):
            say(f"  {line}")


@command("worker")
@click.option("--list", "list_", is_flag=True, help="Carry out the run of --index that waits, or a new one, and end.")
@click.option("--embed", is_flag=True, help="Parse, cut, embed and write alone; leave the sources to others.")
@click.option("--drain", is_flag=True, help="End when nothing is pending or under way.")
@click.option("--index", metavar="NS/NAME", help="Work for this index alone.")
@click.option("--until-stdin-closes", is_flag=True, help="End when standard input closes, and with it the parent.")
def worker(list_: bool, embed: bool, drain: bool, index: str | None, until_stdin_closes: bool) -> None:
    """Run the worker alone: list sources, parse, cut, embed, write. Configured like `ragindex api`."""
    from ragindex_local.worker_process import Part, WorkerOptions, run

    if list_ and (embed or drain or index is None):
        raise click.UsageError("--list goes with --index, and without --embed and --drain")
    part = Part.LISTING if list_ else Part.EMBEDDING if embed else Part.ALL
    options = WorkerOptions(index=index, part=part, drain=drain, until_stdin_closes=until_stdin_closes)
    try:
        with _settings_named():
            done = run(options)
    except Misconfigured as error:
        raise Unmendable(error) from error
    if not done and options.in_a_job:
        sys.exit(ExitCode.STOPPED)


@contextmanager
def _settings_named() -> Iterator[None]:
    """Says which RAGINDEX_… variables are wrong, without their values: some are secret."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Misconfigured(f"a RAGINDEX_… variable that must be JSON is not: {error}") from error
    except ValidationError as error:
        if not error.title.endswith("Environment"):
            raise
        raise Misconfigured("; ".join(_variable(each) for each in error.errors(include_input=False))) from error


def _variable(details: ErrorDetails) -> str:
    name = "RAGINDEX_" + "__".join(str(part) for part in details["loc"]).upper()
    return f"{name} {'is not set' if details['type'] == 'missing' else 'is wrong: ' + details['msg']}"
