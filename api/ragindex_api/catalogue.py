"""Which index a path names, and which of its revisions answers: read once a request, then carried through."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ragindex_core.errors import NotFound, NotReady
from ragindex_core.object.base import DNS_LABEL
from ragindex_core.object.revision import complete
from ragindex_core.object.spec import ChunkingStrategy, Distance, RagIndexSpec
from ragindex_db import serving
from ragindex_db.engine import AsyncDatabase
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_db.signals import LISTENING
from ragindex_providers.embedders import EmbeddingChoice

_LABEL = re.compile(DNS_LABEL)
_LONGEST_LABEL = 63
_MOST_REMEMBERED = 2048
_LANGUAGES_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ServingRevision:
    """One revision as queries use it."""

    row: RevisionRow
    embedding: EmbeddingChoice
    distance: Distance
    hierarchical: bool
    has_index: bool  # a valid one on its vectors, when this was read
    wire: dict[str, Any]  # as responses name it

    @property
    def id(self) -> int:
        return self.row.id


@dataclass(frozen=True, slots=True)
class ServingIndex:
    """An index as one request sees it; nothing in it changes while the request lasts."""

    row: IndexRow
    spec: RagIndexSpec
    revision: ServingRevision | None

    def answering(self) -> ServingRevision:
        if self.revision is None:
            raise NotReady(
                f"the index {self.row.full_name} is being prepared; nothing of it can be searched yet",
                retry_after_seconds=2,
            )
        return self.revision


class Catalogue:
    """Remembers for a moment what it read, never longer than ``most_seconds``: a revision that was dropped keeps its
    tables for longer than that."""

    def __init__(
        self,
        database: AsyncDatabase,
        installation: str,
        most_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._installation = installation
        self._most_seconds = most_seconds
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str], tuple[float, ServingIndex]] = OrderedDict()
        self._languages: dict[int, tuple[float, tuple[str | None, ...]]] = {}

    async def find(self, namespace: str, name: str) -> ServingIndex:
        """The index of that name, maybe as it was a moment ago."""
        remembered = self._remembered.get((namespace, name))
        if remembered is not None and self._clock() - remembered[0] < self._most_seconds:
            return remembered[1]
        return await self.read(namespace, name)

    async def read(self, namespace: str, name: str) -> ServingIndex:
        """The index of that name as it is now."""
        if not _is_label(namespace) or not _is_label(name):
            raise NotFound("there is no index of that name")
        begun = self._clock()
        try:
            found = _seen(await self._database.query(serving.find, self._installation, namespace, name))
        except NotFound:
            self._remembered.pop((namespace, name), None)
            raise
        self._remembered[namespace, name] = (begun, found)
        self._remembered.move_to_end((namespace, name))
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def languages(self, index: ServingIndex) -> tuple[str | None, ...]:
        """Those of the index's documents, maybe as they were a while ago: a new language is rare, and asking for them
        reads a row a document."""
        remembered = self._languages.get(index.row.id)
        if remembered is not None and self._clock() - remembered[0] < _LANGUAGES_SECONDS:
            return remembered[1]
        found = await self._database.query(serving.languages, index.row.id)
        if found:  # a first fill is looked at again until there is something
            self._languages[index.row.id] = (self._clock(), found)
        return found

    def forget(self, index_id: int | None = None) -> None:
        """Something changed: whoever asks next reads anew."""
        for key, (_, index) in list(self._remembered.items()):
            if index_id is None or index.row.id == index_id:
                del self._remembered[key]

    def on_signal(self, topic: str) -> None:
        if topic == LISTENING:
            self.forget()
        kind, _, index_id = topic.partition(":")
        if kind == "index" and index_id.isdigit():
            self.forget(int(index_id))


def _is_label(text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and _LABEL.fullmatch(text) is not None


def _seen(found: serving.Serving) -> ServingIndex:
    spec = RagIndexSpec.model_validate(found.index.spec)
    revision = None if found.revision is None else _revision(found.revision, spec, has_index=found.has_index)
    return ServingIndex(found.index, spec, revision)


def _revision(row: RevisionRow, spec: RagIndexSpec, *, has_index: bool) -> ServingRevision:
    built = complete(dict(row.projection))
    provider, model = built["embedding.provider"], built["embedding.model"]
    dimensions = built["embedding.dimensions"]
    # Where a provider is reached lies outside the key, so a former revision is asked for where the spec says today.
    endpoint = spec.embedding.endpoint_ref if spec.embedding.provider.value == provider else None
    return ServingRevision(
        row=row,
        embedding=EmbeddingChoice(provider, model, dimensions, endpoint.name if endpoint else None),
        distance=Distance(built["embedding.distance"]),
        hierarchical=built["chunking.strategy"] == ChunkingStrategy.HIERARCHICAL,
        has_index=has_index,
        wire={"id": f"r{row.number}", "key": row.key, "provider": provider, "model": model, "dimensions": dimensions},
    )
