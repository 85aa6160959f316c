"""All that a plan may look at, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ragindex_core.errors import FieldProblem, Unavailable
from ragindex_core.object.reasons import Outcome, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.reconcile.observed import (
    Coverage,
    DatabaseState,
    DocumentCounts,
    Handled,
    IndexRow,
    MirroredSource,
    Observed,
    Request,
    Revision,
    RevisionState,
    Run,
    Runs,
    RunState,
    ShrunkSource,
    VectorIndex,
    VectorIndexState,
)
from ragindex_db import (
    budgets,
    config_maps,
    indexes,
    queue,
    requests,
    revisions,
    runs,
    search,
)
from ragindex_db.engine import Connection, Database
from ragindex_db.revisions import RevisionRow
from ragindex_db.room import Room
from ragindex_db.runs import SyncRun
from ragindex_db.server import server
from ragindex_operator.outside import Originals, Workforce, mirrored_sources


def observe(
    database: Database,
    installation: str,
    wanted: RagIndex,
    workforce: Workforce,
    room: Room,
    originals: Originals | None = None,
    refusals: Sequence[FieldProblem] = (),
) -> Observed:
    """``refusals`` are what the installation lacks or its owner forbids of the spec."""
    crew = workforce.look(wanted)
    versions = _versions(wanted, originals)
    try:
        with database.begin() as connection:
            found = _observe(connection, installation, wanted, room, versions)
    except Unavailable as error:
        return Observed(database=DatabaseState(reachable=False, writable=False, message=str(error)), crew=crew)
    return replace(found, crew=crew, refusals=tuple(refusals))


def _versions(wanted: RagIndex, originals: Originals | None) -> dict[str, str | None]:
    """Of what is to be copied, by source: as it is there, None for what does not exist."""
    if originals is None or wanted.deleting:
        return {}
    found: dict[str, str | None] = {}
    for source in mirrored_sources(wanted):
        assert source.config_map is not None
        original = originals.read(wanted, source.config_map.name)
        found[source.name] = original.version if original is not None else None
    return found


def _mirrored(there: Mapping[str, str | None], copies: Mapping[str, str | None]) -> tuple[MirroredSource, ...]:
    return tuple(
        MirroredSource(
            source, version, copied=source in copies and copies[source] == version, version=copies.get(source)
        )
        for source, version in there.items()
    )


def _observe(
    connection: Connection, installation: str, wanted: RagIndex, room: Room, versions: Mapping[str, str | None]
) -> Observed:
    row = indexes.by_uid(connection, wanted.metadata.uid)
    there = server(connection)
    if row is None:
        named = (wanted.metadata.namespace, wanted.metadata.name)
        return Observed(
            database=DatabaseState(now=there.now, server_version=there.version, pgvector_version=there.pgvector),
            mirrored=_mirrored(versions, {}),
            adoptable=indexes.retained_uids(connection, installation, *named),
        )
    kept = revisions.list_kept(connection, row.id)
    numbers = {revision.id: revision.number for revision in kept}
    embedding = wanted.spec.embedding
    until = budgets.throttled_until(connection, embedding.provider.value, embedding.model)
    weighed = wanted.spec.index.rebuild_schedule is not None
    found, sync_runs = _revisions(connection, row.id, kept, weighed=weighed), _runs(connection, row.id)
    has_work = sync_runs.under_way or any(revision.documents.unfinished or revision.missing for revision in found)
    return Observed(
        database=DatabaseState(
            now=there.now,
            full=has_work and room.is_full(connection),
            server_version=there.version,
            pgvector_version=there.pgvector,
            size_bytes=revisions.size_bytes(connection, [r.tables for r in kept if r.tables_ready]),
        ),
        index=IndexRow(
            generation=row.generation,
            database=row.spec.get("databaseRef", {}).get("name", "default"),
            inputs=row.inputs,
            serving=numbers.get(row.serving_revision_id) if row.serving_revision_id else None,
            held_key=row.held_revision_key,
            retained=row.retained_at is not None,
        ),
        revisions=found,
        runs=sync_runs,
        requests=tuple(
            Request(RequestName.named(request.name), request.value) for request in requests.waiting(connection, row.id)
        ),
        handled=_handled(connection, row.id, wanted),
        mirrored=_mirrored(versions, config_maps.versions(connection, row.id)) if versions else (),
        provider_trouble=queue.embedding_trouble(
            connection, [r.id for r in kept if r.state in (RevisionState.BUILDING, RevisionState.ACTIVE)]
        ),
        throttled_until={embedding.model: until} if until else {},
        endpoint=f"/v1/indexes/{row.namespace}/{row.name}",
    )


def _revisions(
    connection: Connection, index_id: int, kept: list[RevisionRow], *, weighed: bool
) -> tuple[Revision, ...]:
    """``weighed``: with how bloated the active one's vector index is."""
    counts = revisions.counts(connection, [r.id for r in kept])
    live = revisions.live_documents(connection, index_id)
    active = next((r.id for r in kept if r.state == "Active"), None)
    covered = revisions.coverage(connection, active, [r.id for r in kept]) if active else {}
    found = []
    for row in kept:
        c = counts[row.id]
        surviving, covers = covered.get(row.id, (0, 0))
        found.append(
            Revision(
                number=row.number,
                key=row.key,
                projection=dict(row.projection),
                state=RevisionState(row.state),
                tables_ready=row.tables_ready,
                missing=max(live - c.total, 0),
                documents=DocumentCounts(
                    indexed=c.indexed, pending=c.pending, processing=c.processing, failed=c.failed
                ),
                chunks=c.chunks,
                coverage=Coverage(surviving=surviving, covered=covers),
                vector_index=_vector_index(connection, row, weighed=weighed and row.id == active),
                estimated_tokens=row.estimated_tokens,
                estimated_cost=None if row.estimated_cost_micro_usd is None else _dollars(row.estimated_cost_micro_usd),
                effective_max_tokens=row.effective_max_tokens,
                approved=row.approved,
                embedding_allowed=row.embedding_allowed,
                promoted_at=row.promoted_at,
                retired_at=row.retired_at,
            )
        )
    return tuple(found)


def _dollars(micro: int) -> str:
    return f"{micro / 1_000_000:.2f}"


def _vector_index(connection: Connection, row: RevisionRow, *, weighed: bool) -> VectorIndex:
    if not row.tables_ready:
        return VectorIndex()
    found = search.vector_index_state(connection, row.tables)
    return VectorIndex(
        state=VectorIndexState(found.state.value),
        m=found.m,
        ef_construction=found.ef_construction,
        bloat=search.vector_index_bloat(connection, row.tables) if weighed else None,
    )


def _runs(connection: Connection, index_id: int) -> Runs:
    latest = runs.latest(connection, index_id)
    if not latest:
        return Runs()
    ended = next((run for run in latest if run.completed_at is not None), None)
    success = runs.last_success(connection, index_id)
    return Runs(
        last=_run(latest[0]),
        last_ended=_run(ended) if ended else None,
        last_success=_run(success) if success else None,
        consecutive_failures=runs.consecutive_failures(connection, index_id),
    )


def _run(run: SyncRun) -> Run:
    return Run(
        id=str(run.id),
        state=RunState(run.state),
        inputs=run.inputs,
        requested_at=run.requested_at,
        started_at=run.started_at,
        completed_at=run.completed_at,
        message=run.message or "",
        shrunk=tuple(
            ShrunkSource(source=name, known=counts["known"], gone=counts["gone"])
            for name, counts in sorted(run.sources.items())
            if counts["state"] == "Shrunk"
        ),
    )


def _handled(connection: Connection, index_id: int, wanted: RagIndex) -> tuple[Handled, ...]:
    latest = requests.handled(connection, index_id)
    annotated: list[requests.Request] = []
    for name, value in _request_annotations(wanted.metadata.annotations):
        request = requests.find(connection, index_id, name, value)
        if request is not None and request.handled_at is not None:
            annotated.append(request)
    unique = {(r.name, r.value): r for r in [*latest.values(), *annotated]}
    return tuple(
        Handled(
            name=RequestName.named(request.name),
            value=request.value,
            outcome=Outcome.named(request.outcome),
            at=request.handled_at,
            message=request.message or "",
        )
        for request in unique.values()
        if request.handled_at is not None and request.outcome is not None
    )


def _request_annotations(annotations: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {f"ragindex.io/{name.value}": name.value for name in RequestName}
    return [(names[key], str(value)) for key, value in annotations.items() if key in names]
