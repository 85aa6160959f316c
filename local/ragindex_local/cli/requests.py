"""What a person asks of an index: a run, another attempt, a switch of revisions. Recorded, carried out, answered.

Requests lie in the catalogue, where the reconciler finds them; a signal only makes it look at once.
"""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import Any, TypeVar

import click

from ragindex_core.errors import NotReady, RagIndexError
from ragindex_core.object.reasons import Outcome, RequestName
from ragindex_local.cli import address
from ragindex_local.cli.command import Command, command, index_argument, service_options
from ragindex_local.cli.output import as_json, coloured, note, say
from ragindex_local.cli.waiting import until_up_to_date
from ragindex_local.client import IndexName

C = TypeVar("C", bound=click.Command)

_ORIGIN = "cli"
_LOOK_SECONDS = 0.5  # a lost signal costs no more than this
_SECONDS = 60.0


class RequestRefused(RagIndexError):
    """The reconciler looked at the request and said no, and why."""


def _timeout_option(function: Any) -> Any:
    option = click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the outcome. The request stays, whether waited for or not.",
    )
    return option(function)


@command("sync")
@index_argument()
@click.option("--wait", is_flag=True, help="Until every document is indexed or failed.")
@service_options
def sync(index: IndexName, wait: bool, url: str | None, data: Path | None, json_: bool) -> None:
    """Look at the sources now."""
    client = address.find(url, data).client()
    accepted = client.post(f"{index.path}/sync")
    if wait:
        until_up_to_date(client, index, str(accepted["request_id"]))
    if json_:
        as_json(accepted)
    else:
        say(f"{index} is up to date" if wait else f"a run of {index} was asked for")


def _ask(
    index: IndexName,
    name: RequestName,
    target: str,
    timeout: float,
    url: str | None,
    data: Path | None,
    json_: bool,
) -> dict[str, Any]:
    """Record the request under a value that was never used, and say what became of it."""
    where = address.find(url, data)
    database_url = where.database()
    uid = where.client().get(index.path)["metadata"]["uid"]
    outcome = _recorded(database_url, uid, name, f"{target}@{uuid.uuid4().hex[:12]}", timeout)
    if outcome is None:
        raise NotReady(f"{name} of {index} is recorded and not carried out yet; `ragindex status {index}` shows it")
    if outcome["outcome"] == Outcome.REFUSED:
        raise RequestRefused(outcome["message"] or f"{name} was refused")
    if json_:
        as_json(outcome)
    else:
        message = f": {outcome['message']}" if outcome["message"] else ""
        say(f"{coloured(outcome['outcome'])} {name} {target}{message}")
    return outcome


def _recorded(database_url: str, uid: str, name: RequestName, value: str, timeout: float) -> dict[str, Any] | None:
    """None when nobody answered in time."""
    from ragindex_db import indexes, requests, signals
    from ragindex_db.engine import Database, DatabaseSettings

    database = Database(DatabaseSettings(url=database_url, pool_size=1, application_name="ragindex-cli"))
    woken = threading.Event()
    listener = signals.Listener(database_url, lambda _topic: woken.set())
    listener.start()
    try:
        with database.begin() as connection:
            row = indexes.by_uid(connection, uid)
            if row is None:
                raise NotReady(f"the database does not hold the index with the uid {uid}; is it another service's?")
            requests.add(connection, row.id, name.value, value, _ORIGIN)
            signals.send(connection, f"request:{row.id}")
        until = time.monotonic() + timeout
        while True:
            request = database.run(requests.find, row.id, name.value, value)
            if request is not None and request.handled_at is not None:
                return {
                    "request": name.value,
                    "value": value,
                    "outcome": request.outcome,
                    "message": request.message or "",
                    "time": request.handled_at.isoformat(),
                }
            left = until - time.monotonic()
            if left <= 0:
                return None
            woken.wait(min(left, _LOOK_SECONDS))
            woken.clear()
    finally:
        listener.stop()
        database.close()


@command("retry-failed")
@index_argument()
@_timeout_option
@service_options
def retry_failed(index: IndexName, timeout: float, url: str | None, data: Path | None, json_: bool) -> None:
    """Try the failed documents again, and no others."""
    _ask(index, RequestName.RETRY_FAILED, "all", timeout, url, data, json_)


@command("rebuild")
@index_argument()
@_timeout_option
@service_options
def rebuild(index: IndexName, timeout: float, url: str | None, data: Path | None, json_: bool) -> None:
    """Parse and cut every document again. What did not change is not embedded again."""
    _ask(index, RequestName.REBUILD, "all", timeout, url, data, json_)


def _of_revision(name: RequestName, summary: str, meaning: str = "") -> Command:
    """A command that names a revision. ``meaning`` is shown once it was carried out."""

    @command(name.value)
    @index_argument()
    @click.argument("revision", metavar="REVISION")
    @_timeout_option
    @service_options
    def act(index: IndexName, revision: str, timeout: float, url: str | None, data: Path | None, json_: bool) -> None:
        outcome = _ask(index, name, revision, timeout, url, data, json_)
        if meaning and not json_ and not outcome["message"]:
            note(meaning)

    act.help = summary
    assert isinstance(act, Command)
    return act


promote = _of_revision(
    RequestName.PROMOTE,
    "Make REVISION (such as r2) the active one as soon as it is ready.",
)
rollback = _of_revision(
    RequestName.ROLLBACK,
    "Make REVISION, a former one that was kept, the active one at once.",
    "The spec's model and chunking are not built again until they change or `ragindex promote` is given.",
)
approve = _of_revision(
    RequestName.APPROVE,
    "Let REVISION be embedded though its estimate exceeds spec.rollout.maxEstimatedTokens.",
)


@command("accept-shrink")
@index_argument()
@click.argument("run", metavar="RUN")
@_timeout_option
@service_options
def accept_shrink(index: IndexName, run: str, timeout: float, url: str | None, data: Path | None, json_: bool) -> None:
    """Delete the documents that RUN found gone. `ragindex status INDEX` names the run that was held back."""
    _ask(index, RequestName.ACCEPT_SHRINK, run, timeout, url, data, json_)
