"""The tree of commands, and the one place where an end of any kind becomes an exit code."""

from __future__ import annotations

import json
import os
import sys

import click

from ragindex_local.cli import asking, documents, evaluating, processes, requests, retained, shells, status
from ragindex_local.cli.failures import ExitCode, Failed

#: In the order of ``ragindex --help``: by what a person does first.
COMMANDS: tuple[tuple[str, tuple[click.Command, ...]], ...] = (
    ("Start", (processes.up,)),
    ("Ask", (asking.search, asking.answer)),
    ("Look", (status.status, documents.documents)),
    ("Feed", (documents.upload, documents.delete, requests.sync, requests.retry_failed, requests.rebuild)),
    ("Decide", (requests.promote, requests.rollback, requests.approve, requests.accept_shrink)),
    ("Clear away", (retained.retained, retained.purge)),
    ("Measure", (evaluating.evaluate,)),
    ("Run the parts", (processes.migrate, processes.api, processes.operator, processes.worker)),
    ("Other", (shells.completion, shells.version)),
)


class Tree(click.Group):
    """Commands by what they are for, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return [command.name or "" for _, commands in COMMANDS for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, commands in COMMANDS:
            with formatter.section(title):
                formatter.write_dl([(command.name or "", command.get_short_help_str(90)) for command in commands])


@click.group("ragindex", cls=Tree, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def root() -> None:
    """A searchable, cited, self-maintaining index of documents.

    INDEX is the name of an index, or namespace/name; without a namespace it is in `default`.
    """


for _, _commands in COMMANDS:
    for _command in _commands:
        root.add_command(_command)


def main() -> None:
    """``ragindex``."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    try:
        code = root.main(arguments, prog_name="ragindex", standalone_mode=False)
        sys.stdout.flush()
    except Failed as error:
        error.show()
        return error.code
    except click.ClickException as error:
        if "--json" in arguments:  # not parsed, as the command line is wrong
            problem = {"detail": error.format_message(), "exit_code": error.exit_code}
            click.echo(json.dumps({"error": problem}, ensure_ascii=False), err=True)
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough (`| head`); nothing more may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return code if isinstance(code, int) else ExitCode.OK
