"""What the service is made of: what it is given, and what it makes of that."""

from __future__ import annotations

from dataclasses import dataclass, field

from ragindex_api.admission import Admission
from ragindex_api.answering import Answering
from ragindex_api.catalogue import Catalogue
from ragindex_api.drain import Drain
from ragindex_api.embedding import OpenEmbedder, QueryEmbedder
from ragindex_api.generation import Generators, OpenGenerator
from ragindex_api.metrics import Metrics
from ragindex_api.recorder import Recorder
from ragindex_api.retrieval import Retrieval
from ragindex_api.settings import ApiSettings
from ragindex_api.signals import SignalHub
from ragindex_api.uploading import Uploader
from ragindex_db.engine import AsyncDatabase


@dataclass(frozen=True, slots=True)
class Services:
    """What whoever composes the process hands in, and closes after the application has shut down.

    ``open_embedder`` may give an embedder that others use too; it is called once a model. ``listen`` is off where no
    connection may be held open while nobody asks anything.
    """

    database: AsyncDatabase
    installation: str
    open_embedder: OpenEmbedder
    open_generator: OpenGenerator
    metrics: Metrics = field(default_factory=Metrics)
    listen: bool = True


class Wired:
    """The parts of one application, each made once."""

    def __init__(self, services: Services, settings: ApiSettings) -> None:
        database, metrics = services.database, services.metrics
        self.settings = settings
        self.database = database
        self.installation = services.installation
        self.metrics = metrics
        self.drain = Drain()
        self.hub = SignalHub()
        self.catalogue = Catalogue(database, services.installation, settings.catalogue_seconds)
        self.recorder = Recorder(database, metrics)
        self.embedder = QueryEmbedder(
            services.open_embedder,
            remembered=settings.query_cache,
            threads=settings.embedding_threads,
            metrics=metrics,
        )
        self.retrieval = Retrieval(
            database,
            self.catalogue,
            self.embedder,
            self.recorder,
            metrics,
            embedding_seconds=settings.embedding_seconds,
        )
        self.generators = Generators(services.open_generator)
        self.answering = Answering(database, self.catalogue, self.retrieval, self.generators, self.recorder, metrics)
        self.uploader = Uploader(database, metrics)
        self.searches = Admission("searches", settings.searches, metrics)
        self.answers = Admission("answers", settings.answers, metrics)
        self.uploads = Admission("uploads", settings.uploads, metrics)
        self._listen = services.listen

    def start(self) -> None:
        self.recorder.start()
        if self._listen:
            self.hub.observe(self.catalogue.on_signal)
            self.hub.start(self.database.settings.url)

    async def stop(self) -> None:
        """Nothing is under way any more."""
        await self.hub.stop()
        await self.recorder.stop()
        await self.generators.close()
        self.embedder.close()
