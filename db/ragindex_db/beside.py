"""Two reads at once, of one state of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from ragindex_db.compiled import Reader

A = TypeVar("A")
B = TypeVar("B")


@runtime_checkable
class Forking(Protocol):
    """A reader that may have another one beside it."""

    def both(self, first: Callable[[Reader], A], second: Callable[[Reader], B]) -> tuple[A, B]: ...


def both(reader: Reader, first: Callable[[Reader], A], second: Callable[[Reader], B]) -> tuple[A, B]:
    """What ``first`` and ``second`` return: at once where the reader can, else one after the other."""
    if isinstance(reader, Forking):
        return reader.both(first, second)
    return first(reader), second(reader)
