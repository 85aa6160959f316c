"""Open embedders, one for each model in use: loading one may take seconds, so it is kept."""

from __future__ import annotations

import threading

from ragindex_core.object.revision import complete
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder
from ragindex_db.revisions import RevisionRow
from ragindex_providers.embedders import EmbeddingChoice, open_embedder
from ragindex_providers.settings import ProviderSettings


class Embedders:
    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._open: dict[EmbeddingChoice, Embedder] = {}
        self._lock = threading.Lock()

    def of(self, revision: RevisionRow, spec: RagIndexSpec) -> Embedder:
        """The embedder that ``revision`` was built with; its endpoint is the spec's: that makes no vector differ."""
        built = complete(dict(revision.projection))
        endpoint = spec.embedding.endpoint_ref
        choice = EmbeddingChoice(
            provider=built["embedding.provider"],
            model=built["embedding.model"],
            dimensions=built["embedding.dimensions"],
            endpoint=endpoint.name if endpoint else None,
        )
        with self._lock:
            if choice not in self._open:
                self._open[choice] = open_embedder(choice, self._settings)
            return self._open[choice]

    def close(self) -> None:
        with self._lock:
            for embedder in self._open.values():
                embedder.close()
            self._open.clear()
