"""What all commands share: how errors end them, and the options that say where and in what form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ragindex_core.errors import RagIndexError
from ragindex_local.cli import address
from ragindex_local.cli.failures import Failed
from ragindex_local.client import Client, IndexName

F = TypeVar("F", bound=Callable[..., Any])

_COMPLETION_SECONDS = 1.0


class Command(click.Command):
    """A command whose errors are sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RagIndexError as error:
            raise Failed(error, as_json=bool(ctx.params.get("json_"))) from error


class IndexParameter(click.ParamType[IndexName]):
    """An index, completed from those the service has."""

    name = "index"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IndexName:
        if isinstance(value, IndexName):
            return value
        try:
            return IndexName.parse(value)
        except RagIndexError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Nothing when the service does not answer at once: a shell must not hang."""
        try:
            url = address.find(ctx.params.get("url"), ctx.params.get("data")).url
            items = Client(url, timeout_seconds=_COMPLETION_SECONDS).get("/v1/indexes")["items"]
        except RagIndexError:
            return []
        names = []
        for metadata in (item["metadata"] for item in items):
            full = f"{metadata['namespace']}/{metadata['name']}"
            names.append(metadata["name"] if metadata["namespace"] == "default" else full)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


INDEX = IndexParameter()


def index_argument(*, required: bool = True) -> Callable[[F], F]:
    return click.argument("index", type=INDEX, required=required)


def json_option(function: F) -> F:
    option = click.option("--json", "json_", is_flag=True, help="Answer in JSON, errors too.")
    return option(function)


def data_option(function: F) -> F:
    option = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help=f"Folder of the `ragindex up` to talk to.  [default: {address.DEFAULT_DATA}]",
    )
    return option(function)


def service_options(function: F) -> F:
    """``url``, ``data`` and ``json_``, for commands that call the service."""
    url = click.option(
        "--url",
        envvar="RAGINDEX_URL",
        show_envvar=True,
        metavar="URL",
        help=f"Address of the service.  [default: that of `ragindex up`, else {address.DEFAULT_URL}]",
    )
    return url(data_option(json_option(function)))


def command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    return click.command(name, cls=Command)
