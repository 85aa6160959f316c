"""How a command ends: one sentence on standard error with the way out, and an exit code that means something."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import IO, Any, Self

import click

from ragindex_core.errors import (
    Gone,
    InvalidInput,
    InvalidSpec,
    Misconfigured,
    NotFound,
    NotReady,
    RagIndexError,
    Unavailable,
)
from ragindex_local.client import Refused, Unreached


class ExitCode(IntEnum):
    """Documented in docs/cli.md, which is made from this."""

    OK = 0, "It worked."
    FAILED = 1, "It did not work, or the state of things forbids it."
    INVALID = 2, "The command line or what was sent is wrong; the message names the part."
    NOT_FOUND = 3, "There is no such index, document or revision, or there is no more."
    UNAVAILABLE = 4, "Not now: nothing answers, it is not ready, busy or throttled, or it took too long. Try again."
    NOTHING_FOUND = 5, "The search found nothing, or the documents do not answer the question."
    MISCONFIGURED = 42, "`ragindex worker`: its settings or the model can never work. Trying again is of no use."
    INTERRUPTED = 130, "Ctrl-C."
    STOPPED = 143, "`ragindex worker` in a Job: told to stop before all was done; what it held is given back."

    summary: str

    def __new__(cls, value: int, summary: str) -> Self:
        member = int.__new__(cls, value)
        member._value_ = value
        member.summary = summary
        return member


_BY_STATUS = {
    400: ExitCode.INVALID,
    413: ExitCode.INVALID,
    415: ExitCode.INVALID,
    422: ExitCode.INVALID,
    404: ExitCode.NOT_FOUND,
    410: ExitCode.NOT_FOUND,
    429: ExitCode.UNAVAILABLE,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}


class Failed(click.ClickException):
    """The end of a command that did not work."""

    def __init__(self, error: RagIndexError, *, as_json: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.as_json = as_json
        self.code = exit_code(error)

    def show(self, file: IO[Any] | None = None) -> None:
        out = file or sys.stderr
        if self.as_json:
            click.echo(json.dumps({"error": self._document()}, ensure_ascii=False), file=out)
            return
        click.echo(f"{click.style('Error:', fg='red')} {self._sentences()}", file=out)
        if way_out := hint(self.error):
            click.echo(way_out, file=out)

    def _sentences(self) -> str:
        """One line; what is wrong in several fields, on one line each."""
        if not isinstance(self.error, InvalidInput) or len(self.error.problems) < 2:
            return self.message
        place = f"{self.error.origin} " if isinstance(self.error, InvalidSpec) else ""
        return "\n  ".join([f"{place}breaks {len(self.error.problems)} rules", *map(str, self.error.problems)])

    def _document(self) -> dict[str, Any]:
        if isinstance(self.error, Refused):
            return {**self.error.problem, "status": self.error.status, "detail": self.message}
        return {"detail": self.message, "exit_code": self.code}


class Unmendable(Failed):
    """What a Job must not try again."""

    def __init__(self, error: Misconfigured) -> None:
        super().__init__(error, as_json=False)
        self.code = ExitCode.MISCONFIGURED


def exit_code(error: RagIndexError) -> ExitCode:
    match error:
        case Refused():
            return _BY_STATUS.get(error.status, ExitCode.FAILED)
        case InvalidInput():
            return ExitCode.INVALID
        case NotFound() | Gone():
            return ExitCode.NOT_FOUND
        case Unreached() | NotReady() | Unavailable():
            return ExitCode.UNAVAILABLE
        case _:
            return ExitCode.FAILED


def hint(error: RagIndexError) -> str | None:
    """What to do about it, where the message does not say so itself."""
    match error:
        case Unreached():
            return "Start the service with `ragindex up`, or name another one with --url or RAGINDEX_URL."
        case Refused(status=404):
            return "`ragindex status` lists the indexes there are."
        case Refused(status=429 | 503):
            return "Try again in a moment."
        case Refused(status=500):
            request = error.problem.get("request_id")
            return f"The service's log has the details under the request {request}." if request else None
        case _:
            return None
