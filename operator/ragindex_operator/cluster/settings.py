"""What the operator is told by ``RAGINDEX_…`` variables: the platform owner's word, never a tenant's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ragindex_core.object.base import Label, Quantity, Subdomain
from ragindex_core.object.ingestion import ResourceName
from ragindex_operator.allow import AllowRules

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]


class PodResources(BaseModel):
    """What a pod asks for and may use where an object does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: dict[ResourceName, Quantity] = Field(default_factory=lambda: {"cpu": "500m", "memory": "1Gi"})
    limits: dict[ResourceName, Quantity] = Field(default_factory=lambda: {"memory": "3Gi"})


class WorkerVolume(BaseModel):
    """A volume with documents, for directory sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: Label  # a PersistentVolumeClaim of the release's namespace
    path: Annotated[str, Field(pattern=r"^/[^\x00]*[^/\x00]$")]  # below RAGINDEX_DIRECTORIES


class WorkerPods(BaseModel):
    """Of what the pods of Jobs are made. Their environment comes from a ConfigMap and a Secret of the release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Annotated[str, Field(min_length=1)]
    command: tuple[str, ...] = ("ragindex",)
    service_account: Subdomain = "ragindex-worker"
    config: Subdomain = "ragindex-worker"
    secret: Subdomain = "ragindex-worker"  # noqa: S105  a name
    resources: PodResources = PodResources()
    volumes: tuple[WorkerVolume, ...] = ()
    deadline_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    result_seconds: Annotated[int, Field(ge=60, le=604_800)] = 3_600  # how long a Job stays after its end was noted


class OperatorEnvironment(BaseSettings):
    """``ragindex operator``, as its container is told by ``RAGINDEX_…`` variables."""

    model_config = SettingsConfigDict(
        env_prefix="RAGINDEX_", env_nested_delimiter="__", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: SecretStr
    installation: str = "default"
    kubeconfig: Path | None = None  # without it the pod's own identity, else the user's kubeconfig
    release_namespace: Label  # where Jobs, CronJobs and the Lease live
    lease: Subdomain = "ragindex-operator"  # of that namespace
    release_config_map: Subdomain = "ragindex"  # owner of Jobs and CronJobs: they go with the release
    namespaces: tuple[Label, ...] = ()  # whose objects are looked after; none named: all
    directories: Path = Path("/sources")  # what the path of a directory source is relative to
    worker: WorkerPods
    max_active_pods: Count | None = None
    allow: AllowRules = AllowRules()
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    database_pool: Annotated[int, Field(ge=2, le=32)] = 6
    host: str = "0.0.0.0"  # noqa: S104  a pod's own address
    port: Port = 8081
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
