"""The platform owner's rules: what an object may name, and how much it may ask for, by its namespace.

The first rule whose namespaces match decides. What it does not list, it does not allow; a cap that it leaves out does
not bind. Without any rule everything that the installation has is allowed: of folders, those where it mounts volumes,
never a path of the worker's own such as ``/proc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import PurePath
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from ragindex_core.errors import FieldProblem
from ragindex_core.object.base import Model, Quantity, int32, int64
from ragindex_core.object.ingestion import IngestionSpec, LabelKey, ResourceName
from ragindex_core.object.quantity import amount
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.sources import Glob
from ragindex_core.object.spec import EmbeddingProvider, EndpointRef, GenerationProvider, RagIndexSpec


def _root(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError('must be an absolute path without ".."')
    return path


class AllowedBucket(Model):
    """Objects of S3 that a source may read."""

    bucket: Glob = Field(description="Glob of the bucket's name.")
    prefix: Annotated[str, Field(max_length=1024)] = Field(
        default="", description='How the source\'s prefix must begin; end it with "/" to mean a folder.'
    )


class AllowRule(Model):
    """What the objects of some namespaces may name and ask for."""

    namespaces: tuple[Glob, ...] = Field(min_length=1, description="Globs of namespaces.")
    databases: tuple[Glob, ...] = Field(default=(), description="Globs of databases' names.")
    endpoints: tuple[Glob, ...] = Field(default=(), description="Globs of endpoints' names.")
    s3: tuple[AllowedBucket, ...] = Field(default=(), description="Buckets and prefixes.")
    queues: tuple[Glob, ...] = Field(default=(), description="Globs of SQS queues' URLs.")
    directories: tuple[Annotated[str, AfterValidator(_root)], ...] = Field(
        default=(), description="Folders; a source may name them and all below them."
    )
    node_selector: dict[LabelKey, tuple[Glob, ...]] = Field(
        default_factory=dict, description="Labels that may be selected by, each with globs of its values."
    )
    max_parallelism: Annotated[int, int32(1, 64)] | None = Field(default=None, description="Most workers at once.")
    max_resources: dict[ResourceName, Quantity] | None = Field(
        default=None, description="Most of each resource for one pod; a resource that is not listed is not allowed."
    )
    max_object_bytes: Annotated[int, int64(1, 1_073_741_824)] | None = Field(
        default=None, description="Most that spec.ingestion.maxObjectBytes may be."
    )

    def covers(self, namespace: str) -> bool:
        return _matches(namespace, self.namespaces)


AllowRules: TypeAlias = tuple[AllowRule, ...]


def refusals(rules: AllowRules, index: RagIndex, volumes: PurePath) -> tuple[FieldProblem, ...]:
    """Every field that asks for more than is allowed where the object is; empty when all is allowed. ``volumes`` is
    what the path of a directory source is relative to."""
    if not rules:
        return tuple(_folders((str(volumes),), index.spec, volumes))
    namespace = index.metadata.namespace
    rule = next((rule for rule in rules if rule.covers(namespace)), None)
    if rule is None:
        return (FieldProblem("metadata.namespace", f"no RagIndex is allowed in namespace {namespace}"),)
    spec = index.spec
    return tuple(
        chain(
            _database(rule, spec),
            _endpoints(rule, spec),
            _buckets(rule, spec),
            _folders(rule.directories, spec, volumes),
            _caps(rule, spec.ingestion),
        )
    )


def within(path: str, root: str) -> bool:
    """Whether a folder is the root or lies below it, by whole names; a path that climbs lies nowhere."""
    names, above = _names(path), _names(root)
    return path.startswith("/") and ".." not in names and names[: len(above)] == above


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _same_url(url: str, glob: str) -> bool:
    """Part by part: a glob of the host's name never reaches into the path."""
    parts, globs = url.split("/"), glob.split("/")
    return len(parts) == len(globs) and all(map(fnmatchcase, parts, globs))


def _refusal(field: str, asked: str, allowed: Iterable[str]) -> FieldProblem:
    return FieldProblem(field, f"{asked} is not allowed in this namespace; allowed: {', '.join(allowed) or 'none'}")


def _database(rule: AllowRule, spec: RagIndexSpec) -> Iterator[FieldProblem]:
    if not _matches(spec.database_ref.name, rule.databases):
        yield _refusal("spec.databaseRef.name", f"database {spec.database_ref.name}", rule.databases)


def _endpoints(rule: AllowRule, spec: RagIndexSpec) -> Iterator[FieldProblem]:
    if spec.embedding.provider is EmbeddingProvider.OPENAI:
        yield from _endpoint(rule, "spec.embedding.endpointRef", spec.embedding.endpoint_ref)
    for position, route in enumerate(spec.generation.routes):
        if route.provider is GenerationProvider.OPENAI:
            yield from _endpoint(rule, f"spec.generation.routes[{position}].endpointRef", route.endpoint_ref)


def _endpoint(rule: AllowRule, field: str, reference: EndpointRef | None) -> Iterator[FieldProblem]:
    """Without a reference it is whichever the installation has, which only a rule that allows all can allow."""
    if reference is not None:
        if not _matches(reference.name, rule.endpoints):
            yield _refusal(f"{field}.name", f"endpoint {reference.name}", rule.endpoints)
    elif "*" not in rule.endpoints:
        yield _refusal(field, "leaving it out", rule.endpoints)


def _buckets(rule: AllowRule, spec: RagIndexSpec) -> Iterator[FieldProblem]:
    for position, source in enumerate(spec.sources):
        if (s3 := source.s3) is None:
            continue
        field = f"spec.sources[{position}].s3"
        if not any(fnmatchcase(s3.bucket, one.bucket) and s3.prefix.startswith(one.prefix) for one in rule.s3):
            allowed = (f"s3://{one.bucket}/{one.prefix}" for one in rule.s3)
            yield _refusal(field, f"s3://{s3.bucket}/{s3.prefix}", allowed)
        if s3.queue_url is not None and not any(_same_url(s3.queue_url, glob) for glob in rule.queues):
            yield _refusal(f"{field}.queueUrl", f"queue {s3.queue_url}", rule.queues)


def _folders(roots: Sequence[str], spec: RagIndexSpec, volumes: PurePath) -> Iterator[FieldProblem]:
    for position, source in enumerate(spec.sources):
        if source.directory is None:
            continue
        folder = str(volumes / source.directory.path)
        if not any(within(folder, root) for root in roots):
            yield _refusal(f"spec.sources[{position}].directory.path", f"folder {folder}", roots)


def _caps(rule: AllowRule, ingestion: IngestionSpec) -> Iterator[FieldProblem]:
    for name, value in ingestion.node_selector.items():
        field = f"spec.ingestion.nodeSelector.{name}"
        if name not in rule.node_selector:
            yield _refusal(field, f"label {name}", rule.node_selector)
        elif not _matches(value, rule.node_selector[name]):
            yield _refusal(field, f"value {value}", rule.node_selector[name])
    yield from _cap("spec.ingestion.parallelism", ingestion.parallelism, rule.max_parallelism)
    yield from _cap("spec.ingestion.maxObjectBytes", ingestion.max_object_bytes, rule.max_object_bytes)
    if rule.max_resources is not None:
        for part, resources in (("requests", ingestion.resources.requests), ("limits", ingestion.resources.limits)):
            yield from _resources(rule.max_resources, f"spec.ingestion.resources.{part}", resources)


def _cap(field: str, asked: int, most: int | None) -> Iterator[FieldProblem]:
    if most is not None and asked > most:
        yield FieldProblem(field, f"{asked} is more than is allowed in this namespace; at most {most}")


def _resources(most: dict[str, str], field: str, asked: dict[str, str]) -> Iterator[FieldProblem]:
    for name, quantity in asked.items():
        if name not in most:
            yield _refusal(f"{field}.{name}", f"resource {name}", most)
        elif amount(quantity) > amount(most[name]):
            problem = f"{quantity} is more than is allowed in this namespace; at most {most[name]}"
            yield FieldProblem(f"{field}.{name}", problem)
