"""What no event will ever tell of: rows and Jobs of objects that went while nobody could take note of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ragindex_db import indexes
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_operator.cluster.api import Body
from ragindex_operator.cluster.objects import Objects
from ragindex_operator.cluster.workforce import KubeWorkforce
from ragindex_operator.fence import Fence

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """``namespaces``: those looked after; none named means all."""

    database: Database
    objects: Objects
    workforce: KubeWorkforce
    take_over: Callable[[], Fence]
    namespaces: tuple[str, ...]

    def rows(self) -> list[IndexRow]:
        """The catalogue's live ones that are ours to look after. To be read before the objects are listed: what is made
        in between has an object then."""
        rows = self.database.run(indexes.list_live, self.take_over().installation)
        return [row for row in rows if not self.namespaces or row.namespace in self.namespaces]

    def retain_orphans(self, rows: list[IndexRow], objects: list[Body]) -> None:
        """Their data is kept, whatever their policy was: nobody is left to say that it may go."""
        there = {body["metadata"]["uid"] for body in objects}
        for row in rows:
            if row.uid in there:
                continue
            current = self.objects.get(row.full_name)
            if current is not None and current.uid == row.uid:
                continue
            with self.take_over().begin(self.database) as connection:
                indexes.retain(connection, row.id)
            log.warning("its object is gone; the data is retained", extra={"index": row.full_name, "uid": row.uid})

    def clear_away(self, known: set[str], objects: list[Body]) -> None:
        """The Jobs of objects that are gone. ``known`` was read before the objects were listed."""
        for uid in known - {body["metadata"]["uid"] for body in objects}:
            log.warning("its object is gone; its Jobs go too", extra={"uid": uid})
            self.workforce.clear_away(uid)
