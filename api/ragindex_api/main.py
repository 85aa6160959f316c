"""``ragindex api``: the service as its container runs it. The one place where its settings are read."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from ragindex_api import logging as json_logging
from ragindex_api import telemetry
from ragindex_api.app import create_app
from ragindex_api.metrics import Metrics, MetricsServer
from ragindex_api.server import ApiServer
from ragindex_api.services import Services
from ragindex_api.settings import ApiEnvironment
from ragindex_core.ports import Embedder
from ragindex_db.engine import AsyncDatabase, DatabaseSettings
from ragindex_providers.embedders import EmbeddingChoice, open_embedder
from ragindex_providers.routes import GenerationChoice, RoutedGenerator, open_generator
from ragindex_providers.settings import ProviderSettings

log = logging.getLogger(__name__)


def run(environment: ApiEnvironment) -> None:
    """Serves until it is told to stop."""
    json_logging.configure(environment.log_level)
    tracing = telemetry.start(environment.otlp_endpoint)
    settings = environment.api.model_copy(update={"tracing": tracing})
    metrics = Metrics()
    database = AsyncDatabase(
        DatabaseSettings(
            url=environment.database_url.get_secret_value(),
            pool_size=environment.database_pool,
            application_name="ragindex-api",
            statement_timeout_ms=environment.statement_timeout_ms,
        )
    )
    providers = Providers(environment.providers())
    services = Services(
        database=database,
        installation=environment.installation,
        open_embedder=providers.embedder,
        open_generator=providers.generator,
        metrics=metrics,
        listen=environment.listen,
    )
    server = ApiServer(create_app(services, settings), settings, environment.host, environment.port)
    numbers = MetricsServer(metrics, environment.metrics_host, environment.metrics_port)
    log.info("starting", extra={"host": environment.host, "port": environment.port, "metrics_port": numbers.port})
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(_serve(server, database))
    finally:
        numbers.close()
        providers.close()
    log.info("stopped")


async def _serve(server: ApiServer, database: AsyncDatabase) -> None:
    try:
        await server.serve()
    finally:
        await database.close()


class Providers:
    """What is opened for the service, closed with it."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._embedders: list[Embedder] = []

    def embedder(self, choice: EmbeddingChoice) -> Embedder:
        opened = open_embedder(choice, self._settings)
        with self._lock:
            self._embedders.append(opened)
        return opened

    def generator(self, choices: Sequence[GenerationChoice]) -> RoutedGenerator:
        return open_generator(choices, self._settings)

    def close(self) -> None:
        for embedder in self._embedders:
            embedder.close()
