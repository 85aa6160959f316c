"""Where documents come from. A new kind of source is a choice, an adapter, and a line in ``_OPENERS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ragindex_core.ports import Source


@dataclass(frozen=True, slots=True)
class DirectoryChoice:
    """A folder whose path was already found to be allowed. No ``include`` means everything."""

    path: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


SourceChoice: TypeAlias = DirectoryChoice


def open_source(choice: SourceChoice) -> Source:
    """The source of this choice. Raises InvalidInput for a pattern that means nothing; whether the source is there
    shows when it is listed."""
    return _OPENERS[type(choice)](choice)


def _open_directory(choice: DirectoryChoice) -> Source:
    from ragindex_providers.sources.directory import DirectorySource

    return DirectorySource(choice.path, choice.include, choice.exclude)


_OPENERS: Mapping[type, Callable[[Any], Source]] = {DirectoryChoice: _open_directory}
