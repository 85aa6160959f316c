"""What changed in a source since the catalogue last saw it.

Both sides come in the order of their keys and are merged as they stream, so that a million objects need no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from ragindex_core.ports import SourceObject


@dataclass(frozen=True, slots=True)
class KnownObject:
    """What the catalogue remembers of an object of a source."""

    key: str
    version: str  # the source's token when it was last listed
    sha256: str | None = None  # of its bytes; None until first read
    sidecar_version: str | None = None


class ChangeKind(StrEnum):
    ADDED = "Added"
    SUSPECT = "Suspect"  # another token: its bytes are compared by hash when they are read
    METADATA = "Metadata"  # the same bytes for certain, another sidecar
    UNCHANGED = "Unchanged"
    REMOVED = "Removed"


@dataclass(frozen=True, slots=True)
class Change:
    """``known`` is None for what was added, ``listed`` for what was removed."""

    kind: ChangeKind
    key: str
    known: KnownObject | None = None
    listed: SourceObject | None = None


class OutOfOrder(ValueError):
    """The keys do not rise strictly: a merge of them would take the difference for changes."""


def diff(known: Iterable[KnownObject], listed: Iterable[SourceObject]) -> Iterator[Change]:
    """One change a key, in the order of the keys. Both sides must rise strictly by code point; raises OutOfOrder."""
    ours, theirs = iter(_rising(known, "known")), iter(_rising(listed, "listed"))
    old, new = next(ours, None), next(theirs, None)
    while old is not None or new is not None:
        if old is None or (new is not None and new.key < old.key):
            assert new is not None
            yield Change(ChangeKind.ADDED, new.key, listed=new)
            new = next(theirs, None)
        elif new is None or old.key < new.key:
            yield Change(ChangeKind.REMOVED, old.key, known=old)
            old = next(ours, None)
        else:
            yield Change(_kind(old, new), old.key, known=old, listed=new)
            old, new = next(ours, None), next(theirs, None)


def _kind(old: KnownObject, new: SourceObject) -> ChangeKind:
    if old.version != new.version:
        return ChangeKind.SUSPECT
    if old.sidecar_version != new.sidecar_version:
        return ChangeKind.METADATA
    return ChangeKind.UNCHANGED


K = TypeVar("K", KnownObject, SourceObject)


def _rising(objects: Iterable[K], side: str) -> Iterator[K]:
    previous: str | None = None
    for item in objects:
        if previous is not None and item.key <= previous:
            raise OutOfOrder(f"{side} keys must rise: {item.key!r} came after {previous!r}")
        previous = item.key
        yield item
