"""What a plan may ask for. Each is safe to carry out twice, and to be cut short and carried out again.

Who carries them out differs: the operator with Jobs, ``ragindex up`` with threads. What they mean does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ragindex_core.object.reasons import Outcome, RequestName
from ragindex_core.reconcile.observed import Timetable


class Trigger(StrEnum):
    """Why a run starts."""

    CREATED = "Created"
    SPEC_CHANGED = "SpecChanged"
    REQUESTED = "Requested"
    SHRINK_ACCEPTED = "ShrinkAccepted"
    SCHEDULED = "Scheduled"
    RETRY = "Retry"


@dataclass(frozen=True, slots=True)
class RegisterIndex:
    """Write the object (metadata, spec, generation) into the catalogue; make the row when there is none. ``inputs`` is
    what a run is for that somebody starts by the timetable."""

    generation: int
    inputs: str


@dataclass(frozen=True, slots=True)
class AdoptIndex:
    """Give the row of a retained index, and all that hangs on it, to this object."""

    from_uid: str
    generation: int
    inputs: str


@dataclass(frozen=True, slots=True)
class CreateRevision:
    """Add a Building revision of this key, unless there is one; the first of an index serves from the start."""

    key: str
    projection: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class ResumeRevision:
    """Make a Retained revision Building again, to catch up. Its estimate and permission to embed are taken back."""

    revision: int


@dataclass(frozen=True, slots=True)
class CreateTables:
    revision: int


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Queue every document of the catalogue that the revision does not hold in its present version; drop those gone."""

    revision: int


@dataclass(frozen=True, slots=True)
class EstimateCost:
    """Record how many tokens the queued documents will take, and what that costs."""

    revision: int


@dataclass(frozen=True, slots=True)
class Approve:
    """Record a person's consent to the estimate."""

    revision: int


@dataclass(frozen=True, slots=True)
class AllowEmbedding:
    """Let workers take documents of the revision."""

    revision: int


@dataclass(frozen=True, slots=True)
class StartRun:
    """Record a run as pending and see that somebody lists the sources. ``accept_shrink_of`` names the run whose missing
    documents may be deleted now; only sources that it reported are covered."""

    trigger: Trigger
    inputs: str
    accept_shrink_of: str | None = None


@dataclass(frozen=True, slots=True)
class ListSources:
    """See that somebody carries out this run, which waits or was left by who had it."""

    run: str


@dataclass(frozen=True, slots=True)
class MirrorSource:
    """Copy the source's entries into the catalogue, where a run lists them."""

    source: str


@dataclass(frozen=True, slots=True)
class KeepTimetable:
    """See that runs are started by this timetable and no other."""

    timetable: Timetable


@dataclass(frozen=True, slots=True)
class DropTimetable:
    """Start no more runs by schedule."""


@dataclass(frozen=True, slots=True)
class EnsureWorkers:
    """See that so many workers drain the queues of exactly these revisions, and end when these are empty."""

    revisions: frozenset[int]
    parallelism: int


@dataclass(frozen=True, slots=True)
class StopWorkers:
    """List and take no further documents; what is leased may be finished or left to its lease."""


@dataclass(frozen=True, slots=True)
class BuildVectorIndex:
    """Give the revision a valid index with these parameters; one that is there serves until the new one is valid.
    ``again`` makes it anew though the one that is there has these parameters."""

    revision: int
    m: int
    ef_construction: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class DropVectorIndex:
    """Drop the index, or what is left of an abandoned build, without blocking readers."""

    revision: int


@dataclass(frozen=True, slots=True)
class Serve:
    """Point readers at a Building revision, while none has been promoted."""

    revision: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Make a Building revision the Active one in one row update; the one that was becomes Retained."""

    revision: int


@dataclass(frozen=True, slots=True)
class Rollback:
    """Make a Retained revision the Active one in one row update, hiding what was deleted meanwhile; the one that was
    becomes Retained, and ``held_key`` takes over again only when asked for."""

    revision: int
    held_key: str


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """End what a rollback began: the spec's key may take over again."""


@dataclass(frozen=True, slots=True)
class RetireRevision:
    """Mark the revision Dropping: no reader may begin to use it, no worker works on it."""

    revision: int


@dataclass(frozen=True, slots=True)
class DropRevision:
    """Drop the revision's tables and its row."""

    revision: int


@dataclass(frozen=True, slots=True)
class RetryFailed:
    """Queue the failed documents of these revisions again, with fresh attempts."""

    revisions: frozenset[int]


@dataclass(frozen=True, slots=True)
class RebuildDocuments:
    """Queue every document of these revisions to be parsed again; each stays searchable until its new form commits."""

    revisions: frozenset[int]


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Record that this value was handled; it never acts again."""

    name: RequestName
    value: str
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, slots=True)
class RetainIndex:
    """Mark the row as retained: its name is free, its data is kept for adoption or purge."""


@dataclass(frozen=True, slots=True)
class DropIndex:
    """Drop what the catalogue says this object's uid made, and the row last."""


@dataclass(frozen=True, slots=True)
class ReleaseObject:
    """Let the object go: remove our finalizer, or forget the file."""


Action: TypeAlias = (
    RegisterIndex
    | AdoptIndex
    | CreateRevision
    | ResumeRevision
    | CreateTables
    | Enqueue
    | EstimateCost
    | Approve
    | AllowEmbedding
    | StartRun
    | ListSources
    | MirrorSource
    | KeepTimetable
    | DropTimetable
    | EnsureWorkers
    | StopWorkers
    | BuildVectorIndex
    | DropVectorIndex
    | Serve
    | Promote
    | Rollback
    | ReleaseHold
    | RetireRevision
    | DropRevision
    | RetryFailed
    | RebuildDocuments
    | AnswerRequest
    | RetainIndex
    | DropIndex
    | ReleaseObject
)
