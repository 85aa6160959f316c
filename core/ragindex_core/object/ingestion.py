"""When and how documents are taken in: ``spec.ingestion``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ragindex_core.object.base import Model, Quantity, Rule, hinted, int32, int64

_CRON = hinted(
    r"^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$",
    'five cron fields with one space between: minute, hour, day of month, month, day of week ("*/30 * * * *")',
)
_ZONE = hinted(r"^[A-Za-z]+(/[A-Za-z0-9_+-]+){0,2}$", "an IANA time zone such as Etc/UTC or Europe/Berlin")
_DOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_LABEL_KEY = rf"^({_DOMAIN}/)?[A-Za-z0-9]([A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?$"
_LABEL_VALUE = hinted(
    r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$", "a label value: letters, digits, and - _ . between them"
)
_RESOURCE = rf"^({_DOMAIN}/)?[a-z]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
hinted(_LABEL_KEY, "a label key such as kubernetes.io/arch")
hinted(_RESOURCE, "the name of a resource such as cpu or memory")

ResourceName = Annotated[str, Field(min_length=1, max_length=63, pattern=_RESOURCE)]
LabelKey = Annotated[str, Field(min_length=1, max_length=253, pattern=_LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]
#: Also of ``spec.index.rebuildSchedule``.
CronExpression = Annotated[str, Field(min_length=9, max_length=128, pattern=_CRON)]


class OnSourceDeletion(StrEnum):
    DELETE = "Delete"
    KEEP = "Keep"


class ResourcesSpec(Model):
    """What an embedding pod asks for and may use; capped by the platform owner."""

    requests: dict[ResourceName, Quantity] = Field(
        default_factory=dict, max_length=8, description="What a pod is sure to get."
    )
    limits: dict[ResourceName, Quantity] = Field(
        default_factory=dict, max_length=8, description="What a pod never exceeds."
    )


class IngestionSpec(Model):
    """When and how documents are taken in."""

    rules: ClassVar = (
        Rule(
            cel="!has(self.schedule) || has(self.timeZone)",
            message="schedule needs timeZone, such as Etc/UTC or Europe/Berlin",
            holds=lambda i: i.schedule is None or i.time_zone is not None,
            field="timeZone",
        ),
        Rule(
            cel="!has(self.timeZone) || has(self.schedule)",
            message="timeZone may be set only together with schedule",
            holds=lambda i: i.time_zone is None or i.schedule is not None,
            field="timeZone",
        ),
    )

    schedule: CronExpression | None = Field(
        default=None,
        description="Five-field cron. Without it a run starts on creation, change of sources or model, and request.",
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern=_ZONE)] | None = Field(
        default=None, description="IANA time zone of the schedule; required with it, no default."
    )
    parallelism: Annotated[int, int32(1, 64)] = Field(
        default=4, description="How many workers embed at once; capped by the platform owner."
    )
    max_attempts_per_document: Annotated[int, int32(1, 20)] = Field(
        default=5, description="After so many attempts a document is Failed until it changes or is retried."
    )
    max_object_bytes: Annotated[int, int64(1, 1_073_741_824)] = Field(
        default=104_857_600, description="Larger documents are Failed with reason TooLarge and never read."
    )
    on_source_deletion: OnSourceDeletion = Field(
        default=OnSourceDeletion.DELETE,
        description="What becomes of a document that its source no longer lists: Delete or Keep.",
    )
    max_delete_percent: Annotated[int, int32(0, 100)] = Field(
        default=50,
        description="A source that lost a larger share of its documents deletes nothing (SourceShrunk) until accepted.",
    )
    resources: ResourcesSpec = Field(default_factory=ResourcesSpec, description="Resources of an embedding pod.")
    node_selector: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description="Nodes that embedding pods may run on; capped by the platform owner.",
    )
