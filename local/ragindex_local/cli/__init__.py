"""The command line. ``main`` is what ``ragindex`` runs; commands import what is heavy when they are run."""

from ragindex_local.cli.root import main

__all__ = ["main"]
