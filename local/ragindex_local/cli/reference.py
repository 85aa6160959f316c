"""``docs/cli.md``, made from the commands themselves: ``python -m ragindex_local.cli.reference > docs/cli.md``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from ragindex_local.cli.failures import ExitCode
from ragindex_local.cli.root import COMMANDS

_HEAD = "<!-- Made by `python -m ragindex_local.cli.reference`; change the code, not this file. -->"
_TEXT = """\
`make up` and `make install` leave the program at `.venv/bin/ragindex`. INDEX is the name of an index, or
`namespace/name`; without a namespace it is in `default`.

Commands find the service by `--url` or `RAGINDEX_URL`, else by the file `run.json` that `ragindex up` keeps in its
folder (`--data`, by default `.ragindex` where you are), else at `http://127.0.0.1:8080`. Those that write requests to
the database or read what is retained there use `RAGINDEX_DATABASE_URL`, else that of the same file.

Answers go to standard output; progress, notes and errors to standard error. `--json` makes both JSON: an answer is
what the HTTP API returns ([api.md](api.md)), an error is `{"error": {…}}` with the service's problem document. Colour
and bars are for terminals alone.
"""


def reference() -> str:
    """The whole page as Markdown."""
    lines = [_HEAD, "", "# The command line", "", *_TEXT.splitlines(), "", "## Exit codes", ""]
    lines += ["| Code | When |", "|---|---|"]
    lines += [f"| {code.value} | {code.summary} |" for code in ExitCode]
    for title, commands in COMMANDS:
        lines += ["", f"## {title}"]
        for command in commands:
            lines += ["", *_command(command)]
    return "\n".join(lines) + "\n"


def _command(command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"ragindex {command.name}", parent=None)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"### ragindex {command.name}", "", f"    ragindex {command.name} {usage}", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield from (*(f"    {line}" for line in paragraph.splitlines()[1:]), "")
        else:
            yield from (*paragraph.splitlines(), "")
    rows = [record for parameter in command.params if (record := parameter.get_help_record(context)) and record[1]]
    if rows:
        yield from ("| Option | What |", "|---|---|")
        for names, text in rows:
            yield f"| `{_cell(names)}` | {_cell(text)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
