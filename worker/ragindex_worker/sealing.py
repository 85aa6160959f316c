"""Brings what was added since the indexes were built into them, a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass

from ragindex_db import keyword, queue, revisions, search
from ragindex_db.engine import Database
from ragindex_db.revisions import RevisionRow

_WHOLE, _REST = 960, 64  # chunks
_VECTORS = 500  # an insert into the graph costs milliseconds: short transactions
_OTHERS_STEP = 0.5  # seconds, in which another sealer has done a piece


@dataclass(frozen=True, slots=True)
class _Piece:
    done: bool  # something was sealed, and maybe not all
    left: bool  # another sealer is at it


class Sealer:
    """For one index, or for all."""

    def __init__(self, database: Database, index_id: int | None = None) -> None:
        self._database = database
        self._index_id = index_id

    def step(self) -> bool:
        """A piece of every revision; whether there may be more to do at once. While documents are under way, only
        whole segments; when all is done, what is left over too."""
        idle = self._database.run(queue.next_due_seconds, index_id=self._index_id) is None
        pieces = [self._piece(revision, _REST if idle else _WHOLE) for revision in self._revisions()]
        return any(piece.done for piece in pieces)

    def finish(self) -> float | None:
        """A piece of what is left over, and the seconds until the next; None when nothing is left, neither for us nor
        in the hands of another sealer: it may die of it, and then nobody would come back."""
        pieces = [self._piece(revision, _REST) for revision in self._revisions()]
        if any(piece.done for piece in pieces):
            return 0.0
        return _OTHERS_STEP if any(piece.left for piece in pieces) else None

    def _revisions(self) -> list[RevisionRow]:
        return self._database.run(revisions.searchable, self._index_id)

    def _piece(self, revision: RevisionRow, least: int) -> _Piece:
        keywords = self._database.run(keyword.seal, revision.tables.keyword, least)
        moved = self._database.run(search.seal_vectors, revision.tables, _VECTORS)
        left = keywords.busy or self._database.run(search.has_unsealed_vectors, revision.tables)
        return _Piece(done=not keywords.idle or moved > 0, left=left)
