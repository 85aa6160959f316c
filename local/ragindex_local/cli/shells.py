"""``ragindex completion`` and ``ragindex version``."""

from __future__ import annotations

import click

from ragindex_local.cli.command import command, json_option
from ragindex_local.cli.output import as_json, say

_VARIABLE = "_RAGINDEX_COMPLETE"


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands and names of indexes.

    \b
    bash: ragindex completion bash > ~/.local/share/bash-completion/completions/ragindex
    zsh:  ragindex completion zsh > "${fpath[1]}/_ragindex"
    fish: ragindex completion fish > ~/.config/fish/completions/ragindex.fish
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None, "the choice above names shells that are known"
    say(kind(root, {}, "ragindex", _VARIABLE).source())


@command("version")
@json_option
def version(json_: bool) -> None:
    """Say which version this is."""
    from importlib.metadata import version as installed

    number = installed("ragindex")
    if json_:
        as_json({"version": number})
    else:
        say(f"ragindex {number}")
