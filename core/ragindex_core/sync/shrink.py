"""When a listing is too small to be believed: a wrong prefix or a lost mount must not empty an index."""

from __future__ import annotations

from dataclasses import dataclass

#: A source may always lose this many documents; below it, percentages say little.
ALWAYS_ALLOWED = 10


@dataclass(frozen=True, slots=True)
class Listing:
    """One source: how many documents are known from its last complete listing, how many of them the new one lacks, and
    how many objects it lists."""

    source: str
    known: int
    gone: int
    listed: int


def shrunk(listing: Listing, max_delete_percent: int) -> bool:
    """Whether nothing of this source may be deleted until a person accepts it."""
    if listing.gone == 0:
        return False
    if listing.listed == 0:
        return True
    return listing.gone > ALWAYS_ALLOWED and listing.gone * 100 > listing.known * max_delete_percent
