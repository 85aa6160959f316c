"""Everything that a plan may look at. Adapters fill it from the catalogue, from Jobs or threads, and from the clock.

Nothing here is remembered between two looks: the same world gives the same observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ragindex_core.errors import FieldProblem
from ragindex_core.object.reasons import Outcome, RequestName
from ragindex_core.object.revision import Projection


class RevisionState(StrEnum):
    BUILDING = "Building"
    ACTIVE = "Active"
    RETAINED = "Retained"
    DROPPING = "Dropping"  # no reader may begin to use it; its tables fall when readers' caches have expired


class VectorIndexState(StrEnum):
    ABSENT = "Absent"
    BUILDING = "Building"
    VALID = "Valid"
    ABANDONED = "Abandoned"  # an unfinished build that nobody works on


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """``m`` and ``ef_construction`` are those of the index in use, or of the one being built when there is none;
    ``bloat`` is how many times as large it is as one built anew, where somebody asked for it to be known."""

    state: VectorIndexState = VectorIndexState.ABSENT
    m: int | None = None
    ef_construction: int | None = None
    bloat: float | None = None


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """Documents of one revision by state. ``pending`` counts those that wait for another attempt too."""

    indexed: int = 0
    pending: int = 0
    processing: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.indexed + self.unfinished + self.failed

    @property
    def unfinished(self) -> int:
        return self.pending + self.processing


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the active revision's documents that still exist: how many there are, how many this revision has indexed."""

    surviving: int = 0
    covered: int = 0

    def reaches(self, percent: int) -> bool:
        return self.covered * 100 >= self.surviving * percent


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision that is not dropped yet."""

    number: int
    key: str
    projection: Projection
    state: RevisionState
    tables_ready: bool = False
    missing: int = 0  # documents of the catalogue that this revision neither holds in their version nor has queued
    documents: DocumentCounts = field(default_factory=DocumentCounts)
    chunks: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    vector_index: VectorIndex = field(default_factory=VectorIndex)
    estimated_tokens: int | None = None
    estimated_cost: str | None = None
    effective_max_tokens: int | None = None
    approved: bool = False
    embedding_allowed: bool = False  # workers may take its documents
    promoted_at: datetime | None = None
    retired_at: datetime | None = None  # when it stopped being active, or began to be dropped

    @property
    def id(self) -> str:
        return f"r{self.number}"


class RunState(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ShrunkSource:
    source: str
    known: int
    gone: int


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over all sources. ``inputs`` is ``inputs_key`` of the spec it was started for."""

    id: str
    state: RunState
    inputs: str
    requested_at: datetime
    started_at: datetime | None = None  # None while no worker has taken it
    completed_at: datetime | None = None
    message: str = ""
    shrunk: tuple[ShrunkSource, ...] = ()

    @property
    def under_way(self) -> bool:
        return self.state in (RunState.PENDING, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class Runs:
    """``last`` is the latest, under way or not; ``last_ended`` the latest that is over."""

    last: Run | None = None
    last_ended: Run | None = None
    last_success: Run | None = None
    consecutive_failures: int = 0

    @property
    def under_way(self) -> bool:
        return self.last is not None and self.last.under_way


@dataclass(frozen=True, slots=True)
class Request:
    """Something asked for and not answered yet. A value may end in ``@anything`` to be a new one: ``r2@again``."""

    name: RequestName
    value: str

    @property
    def target(self) -> str:
        return self.value.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Handled:
    name: RequestName
    value: str
    outcome: Outcome
    at: datetime
    message: str = ""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """The catalogue's row of this object's uid."""

    generation: int
    database: str
    inputs: str | None = None  # what a run that starts by itself is for
    serving: int | None = None  # number of the revision that readers use
    held_key: str | None = None  # set by a rollback: no revision of this key takes over by itself
    retained: bool = False


@dataclass(frozen=True, slots=True)
class DatabaseState:
    reachable: bool = True
    writable: bool = True
    full: bool = False  # there is no room for what would be written
    message: str = ""
    now: datetime | None = None  # by the clock that all dates of the catalogue are of
    server_version: str | None = None
    pgvector_version: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """Who drains the queues now: a Job's pods, or threads. ``parallelism`` is what was asked for, however many run."""

    revisions: frozenset[int]
    parallelism: int


@dataclass(frozen=True, slots=True)
class Timetable:
    """What starts scheduled runs while nobody looks: a CronJob."""

    schedule: str
    time_zone: str
    suspended: bool = False
    outdated: bool = False  # made by other settings of the installation than those in force


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works for the object. ``listing`` says that somebody carries out a run that was asked for, or is about to,
    as always where a process ``stands_by``; ``queued`` that work waits for pods; ``trouble`` how those that worked last
    failed, and ``rests_until`` when the next may be started then. ``left`` has the runs that somebody was to carry out
    and the time that one ended, whatever became of the run."""

    workers: Workers | None = None
    listing: bool = True
    stands_by: bool = True
    timetable: Timetable | None = None
    queued: bool = False
    trouble: str | None = None
    rests_until: datetime | None = None
    left: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MirroredSource:
    """A source whose entries are copied into the catalogue, as workers cannot read it: its version there and here."""

    source: str
    there: str | None  # None when it does not exist
    copied: bool  # whether the catalogue has what is there
    version: str | None = None  # of the copy


@dataclass(frozen=True, slots=True)
class Observed:
    """The world of one object. With the database out of reach only ``database`` and ``crew`` mean anything."""

    database: DatabaseState = field(default_factory=DatabaseState)
    index: IndexRow | None = None
    revisions: tuple[Revision, ...] = ()
    runs: Runs = field(default_factory=Runs)
    requests: tuple[Request, ...] = ()  # open ones of the catalogue; those by annotation are read from the object
    handled: tuple[Handled, ...] = ()  # the latest of each name, and any whose value the object's annotations hold
    crew: Crew = field(default_factory=Crew)
    mirrored: tuple[MirroredSource, ...] = ()
    adoptable: frozenset[str] = frozenset()  # uids of retained indexes with this namespace, name and database
    refusals: tuple[FieldProblem, ...] = ()  # what the platform owner's rules forbid, or the installation lacks
    provider_trouble: str | None = None  # why documents that wait could not be embedded
    throttled_until: Mapping[str, datetime] = field(default_factory=dict)  # by model
    endpoint: str | None = None

    def in_state(self, *states: RevisionState) -> tuple[Revision, ...]:
        return tuple(revision for revision in self.revisions if revision.state in states)

    @property
    def active(self) -> Revision | None:
        return next(iter(self.in_state(RevisionState.ACTIVE)), None)

    def revision(self, number: int | None) -> Revision | None:
        return next((revision for revision in self.revisions if revision.number == number), None)
