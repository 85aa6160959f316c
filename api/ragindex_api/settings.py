"""What the service needs to be told: limits and times. Plain values; only ``main`` reads them from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ragindex_providers.settings import Endpoint, LocalModelFiles, ProviderSettings, Secret

MIB = 1024 * 1024

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)]  # without a port
Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$", max_length=300)]  # as a browser sends it


class Limit(BaseModel):
    """How many may be under way at once, how many may wait for them, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_once: Count = 16
    waiting: Annotated[int, Field(ge=0)] = 64
    wait_seconds: Seconds = 5.0


class ApiSettings(BaseModel):
    """What ``create_app`` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    searches: Limit = Limit(at_once=16, waiting=256)
    answers: Limit = Limit(at_once=16, waiting=32)
    uploads: Limit = Limit(at_once=8, waiting=16, wait_seconds=30)
    request_bytes: Count = 1 * MIB  # of a JSON body
    request_seconds: Seconds = 30.0  # until all of a JSON body has come
    client_seconds: Seconds = 10.0  # between looks at connections: is the head complete, is the answer being read?
    search_seconds: Seconds = 15.0  # one search, waiting for a slot not counted
    embedding_seconds: Seconds = 8.0  # then a hybrid search goes on without its vector arm
    answer_seconds: Seconds = 180.0
    upload_idle_seconds: Seconds = 30.0  # silence of a client that sends a document
    upload_seconds: Seconds = 3600.0
    wait_seconds: Seconds = 60.0  # most that wait=indexed holds a connection
    heartbeat_seconds: Seconds = 15.0  # between comments of a stream
    catalogue_seconds: Seconds = 1.0  # how old a cached "which revision serves" may be
    query_cache: Count = 4096  # embedded queries remembered
    embedding_threads: Count = 2
    allowed_hosts: tuple[HostName, ...] = ()  # names besides loopback's under which the service may be asked for
    allowed_origins: tuple[Origin, ...] = ()  # of web pages elsewhere that may use the service
    drain_seconds: Seconds = 20.0  # for requests under way when the service is told to stop
    tracing: bool = False


class EndpointEnvironment(BaseModel):
    """An OpenAI-compatible service, as ``RAGINDEX_ENDPOINTS`` (JSON) names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str
    api_key: SecretStr | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    tokens_per_minute: Annotated[int, Field(ge=0)] = 0  # of an embedding model while ingesting; 0: no limit
    requests_per_minute: Annotated[int, Field(ge=0)] = 0

    def endpoint(self, name: str) -> Endpoint:
        key = Secret(self.api_key.get_secret_value()) if self.api_key is not None else None
        return Endpoint(
            name,
            self.base_url,
            api_key=key,
            ca_file=self.ca_file,
            proxy=self.proxy,
            tokens_per_minute=self.tokens_per_minute,
            requests_per_minute=self.requests_per_minute,
        )


class LocalModelEnvironment(BaseModel):
    """An ONNX sentence model in a folder, as ``RAGINDEX_LOCAL_MODELS`` (JSON) names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    sha256: str | None = None  # of its ragindex-model.json, which pins the other files


class ProviderEnvironment(BaseSettings):
    """Which models and endpoints there are: the same for every process that embeds or generates."""

    model_config = SettingsConfigDict(
        env_prefix="RAGINDEX_", env_nested_delimiter="__", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    models_dir: Path = Path("/var/lib/ragindex/models")
    local_threads: Annotated[int, Field(ge=0, le=256)] = 0  # of a local model; 0: what suits the process
    local_models: dict[str, LocalModelEnvironment] = Field(default_factory=dict)  # beside the one brought along
    endpoints: dict[str, EndpointEnvironment] = Field(default_factory=dict)  # OpenAI-compatible ones, by name

    def providers(self, *, threads: int = 1, models_dir: Path | None = None) -> ProviderSettings:
        return ProviderSettings(
            models_dir=models_dir or self.models_dir,
            endpoints={name: given.endpoint(name) for name, given in self.endpoints.items()},
            local_threads=self.local_threads or threads,
            local_models={
                name: LocalModelFiles(given.folder, given.sha256) for name, given in self.local_models.items()
            },
        )


class ApiEnvironment(ProviderEnvironment):
    """``ragindex api``, as its container is told by ``RAGINDEX_…`` variables."""

    database_url: SecretStr
    installation: str = "default"
    host: str = "0.0.0.0"  # noqa: S104  a pod's own address; the laptop binds 127.0.0.1
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    metrics_host: str = "0.0.0.0"  # noqa: S104
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9090
    database_pool: Count = 16
    statement_timeout_ms: Count = 10_000
    log_level: LogLevel = "INFO"
    listen: bool = True  # to the database's signals, on one more connection; off where a database scales to zero
    otlp_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    api: ApiSettings = ApiSettings()
