"""Where documents come from: ``spec.sources``, a list-map by name and a union per item."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ragindex_core.object.base import DNS_LABEL, Model, Rule, Subdomain, hinted

_BUCKET = hinted(
    r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$", 'the name of a bucket: lower-case letters, digits, "-" and ".", 3 to 63 of them'
)
_REGION = hinted(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", "an AWS region such as eu-central-1")
_ACCOUNT = hinted(r"^[0-9]{12}$", 'an AWS account: 12 digits, in quotes ("123456789012")')
# Printable ASCII but @ ? and #. "\s" would mean more here than it does to an API server.
_QUEUE = hinted(r"^https://[!\"$->A-~]+$", "the https URL of an SQS queue")
_TEXT = hinted(r"^[^\x00-\x1f\x7f]+$", "text without control characters")

Glob = Annotated[str, Field(min_length=1, max_length=256, pattern=_TEXT)]


def _globs(description: str) -> tuple[Glob, ...]:
    field: tuple[Glob, ...] = Field(
        default=(),
        max_length=32,
        description=description,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    return field


class S3Source(Model):
    """Objects of a bucket."""

    bucket: Annotated[str, Field(min_length=3, max_length=63, pattern=_BUCKET)] = Field(
        description="Name of the bucket."
    )
    prefix: Annotated[str, Field(max_length=1024)] = Field(
        default="", description="Only objects whose key begins so; empty for the whole bucket."
    )
    region: Annotated[str, Field(min_length=1, max_length=32, pattern=_REGION)] | None = Field(
        default=None, description="Region of the bucket; without it the worker's own."
    )
    expected_bucket_owner: Annotated[str, Field(min_length=12, max_length=12, pattern=_ACCOUNT)] | None = Field(
        default=None, description="Account that must own the bucket; reading any other is refused."
    )
    queue_url: Annotated[str, Field(min_length=9, max_length=1024, pattern=_QUEUE)] | None = Field(
        default=None, description="An SQS queue that receives the bucket's events, to follow changes at once."
    )


class ConfigMapSource(Model):
    """Entries of a ConfigMap in the object's own namespace."""

    name: Subdomain = Field(description="Name of the ConfigMap.")


class DirectorySource(Model):
    """Files of a folder that the worker sees."""

    rules: ClassVar = (
        Rule(
            cel="!self.path.split('/').exists(p, p == '..')",
            message='path must not contain ".."',
            holds=lambda d: ".." not in d.path.split("/"),
            field="path",
        ),
    )

    path: Annotated[str, Field(min_length=1, max_length=1024, pattern=_TEXT)] = Field(
        description="A volume's folder in a cluster; locally a folder, relative to the file that holds the object."
    )


class UploadsSource(Model):
    """Documents sent to the API."""


class AccessSpec(Model):
    """Who may see the documents of a source."""

    groups: tuple[Annotated[str, Field(min_length=1, max_length=256, pattern=_TEXT)], ...] = Field(
        min_length=1,
        max_length=64,
        description="Groups of which a reader must have at least one.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


_KINDS = "[has(self.s3), has(self.configMap), has(self.directory), has(self.uploads)]"


class SourceSpec(Model):
    """One place where documents come from."""

    rules: ClassVar = (
        Rule(
            cel=f"{_KINDS}.filter(set, set).size() == 1",
            message="exactly one of s3, configMap, directory and uploads must be set",
            holds=lambda s: sum(kind is not None for kind in (s.s3, s.config_map, s.directory, s.uploads)) == 1,
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=DNS_LABEL)] = Field(
        description="Name of the source, unique in this object; documents are remembered by it."
    )
    s3: S3Source | None = Field(default=None, description="Objects of an S3 bucket.")
    config_map: ConfigMapSource | None = Field(
        default=None, description="Entries of a ConfigMap in the object's own namespace."
    )
    directory: DirectorySource | None = Field(default=None, description="Files of a folder that the worker sees.")
    uploads: UploadsSource | None = Field(default=None, description="Documents sent to the API.")
    include: tuple[Glob, ...] = _globs("Globs of paths to take; empty for all.")
    exclude: tuple[Glob, ...] = _globs("Globs of paths to leave out, even when included.")
    access: AccessSpec | None = Field(default=None, description="Who may see these documents; without it, all readers.")
