"""Open embedders, one for each model in use: loading one may take seconds, so it is kept."""

from __future__ import annotations

import threading

from ragindex_core.object.revision import complete
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder
from ragindex_db import budgets
from ragindex_db.engine import Database
from ragindex_db.revisions import RevisionRow
from ragindex_providers.embedders import EmbeddingChoice, open_embedder, pick_endpoint
from ragindex_providers.settings import ProviderSettings


class Embedders:
    def __init__(self, database: Database, settings: ProviderSettings) -> None:
        self._database = database
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
                embedder = open_embedder(choice, self._settings)
                if choice.provider == "OpenAI":
                    self._set_budget(choice, embedder)
                self._open[choice] = embedder
            return self._open[choice]

    def _set_budget(self, choice: EmbeddingChoice, embedder: Embedder) -> None:
        """What the settings allow the model, for all processes: also that they no longer limit it."""
        endpoint = pick_endpoint(choice.endpoint, self._settings)
        self._database.run(
            budgets.set_limits,
            embedder.info.provider,
            embedder.info.model,
            tokens_per_minute=endpoint.tokens_per_minute,
            requests_per_minute=endpoint.requests_per_minute,
        )

    def close(self) -> None:
        with self._lock:
            for embedder in self._open.values():
                embedder.close()
            self._open.clear()
