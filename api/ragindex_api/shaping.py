"""Records into the plain dictionaries that responses are made of. On the way of every search: nothing is validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ragindex_api.catalogue import ServingIndex
from ragindex_api.retrieval import Found
from ragindex_core.answer import Citation, DocumentRef
from ragindex_core.document import NOWHERE, Location, Span
from ragindex_core.object.resource import API_VERSION, KIND
from ragindex_core.object.status import RagIndexStatus
from ragindex_core.reconcile.status import status_on_full_disk
from ragindex_db.documents import DocumentRow
from ragindex_db.indexes import IndexRow
from ragindex_db.search import Neighbour, SearchHit


def search_response(index: ServingIndex, found: Found, *, explain: bool) -> dict[str, Any]:
    revision_id = found.revision.id
    body: dict[str, Any] = {
        "results": [_result(revision_id, hit) for hit in found.result.hits],
        "revision": found.revision.wire,
        "run_id": found.run_id,
        "usage": {"embedding_tokens": found.embedding_tokens},
        "timings": found.timings,
    }
    if found.degraded:
        body["degraded"] = found.degraded
    if explain:
        retrieval = index.spec.retrieval
        body["explain"] = {
            **asdict(found.result.explanation),
            "mode": found.mode.value.lower(),
            "fusion": retrieval.fusion.value,
            "vector_weight": retrieval.vector_weight,
            "ef_search": retrieval.ef_search,
        }
    return body


def _result(revision_id: int, hit: SearchHit) -> dict[str, Any]:
    chunk = hit.chunk
    scores = {}
    if hit.scores.vector is not None:
        scores["vector"] = hit.scores.vector
    if hit.scores.keyword is not None:
        scores["keyword"] = hit.scores.keyword
    result: dict[str, Any] = {
        "chunk_id": chunk_id(revision_id, chunk.chunk_id),
        "text": chunk.text,
        "score": hit.score,
        "scores": scores,
        "document": {
            "id": str(chunk.document_id),
            "uri": chunk.uri,
            "title": chunk.title,
            "version": chunk.version,
        },
        "location": location(chunk.location, chunk.headings),
        "span": {"start": chunk.span_start, "end": chunk.span_end},
        "language": chunk.language,
        "metadata": chunk.metadata,
    }
    if hit.matched:
        result["matched"] = [
            {"chunk_id": chunk_id(revision_id, each.chunk_id), "span": span(each.span), "score": each.score}
            for each in hit.matched
        ]
    if hit.surroundings and hit.surroundings.before:
        result["before"] = [_neighbour(revision_id, each) for each in hit.surroundings.before]
    if hit.surroundings and hit.surroundings.after:
        result["after"] = [_neighbour(revision_id, each) for each in hit.surroundings.after]
    return result


def chunk_id(revision_id: int, number: int) -> str:
    return f"{revision_id}-{number}"


def span(of: Span) -> dict[str, int]:
    return {"start": of.start, "end": of.end}


def location(place: Location, headings: Sequence[str]) -> dict[str, Any]:
    if place is NOWHERE:
        return {"headings": list(headings)} if headings else {}
    parts: dict[str, Any] = {
        "page": place.page,
        "page_end": place.page_end,
        "sheet": place.sheet,
        "cells": place.cells,
        "start_ms": place.start_ms,
        "end_ms": place.end_ms,
        "speaker": place.speaker,
    }
    present = {name: value for name, value in parts.items() if value is not None}
    return {**present, "headings": list(headings)} if headings else present


def _neighbour(revision_id: int, each: Neighbour) -> dict[str, Any]:
    return {"chunk_id": chunk_id(revision_id, each.chunk_id), "text": each.text, "span": span(each.span)}


def document_ref(document: DocumentRef) -> dict[str, Any]:
    return {"id": document.id, "uri": document.uri, "title": document.title, "version": document.version}


def citation(each: Citation, headings: Sequence[str]) -> dict[str, Any]:
    return {
        "marker": each.marker,
        "index": each.index,
        "chunk_id": each.chunk_id,
        "document": document_ref(each.document),
        "location": location(each.location, headings),
        "span": span(each.span),
        "quote": each.quote,
    }


#: A document that waits for an outside job is, to a reader, being worked on; one no revision knows yet waits.
_STATES = {None: "Pending", "Waiting": "Processing"}


def document(row: DocumentRow) -> dict[str, Any]:
    failing = row.reason is not None and row.state == "Pending"
    return {
        "id": str(row.id),
        "source": row.source,
        "uri": row.uri,
        "title": row.title,
        "version": row.version,
        "state": _STATES.get(row.state, row.state),
        "reason": row.reason,
        "message": row.message,
        "attempts": row.attempts or 0,
        "next_attempt_at": moment(row.next_attempt_at) if failing else None,
        "chunks": row.chunks or 0,
        "indexed_version": row.indexed_version,
        "indexed_at": moment(row.indexed_at),
        "media_type": row.media_type,
        "language": row.language,
        "size": row.size,
        "metadata": dict(row.metadata),
    }


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def index_object(row: IndexRow, *, disk_full: bool) -> dict[str, Any]:
    """As ``kubectl get -o json`` shows it. On a full disk, what is stored may be older than the trouble."""
    status = dict(row.status)
    if disk_full:
        status = status_on_full_disk(RagIndexStatus.model_validate(status), datetime.now(UTC)).to_wire()
    metadata = {
        "creationTimestamp": row.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **row.object_metadata,
        "name": row.name,
        "namespace": row.namespace,
        "uid": row.uid,
        "generation": row.generation,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "spec": dict(row.spec),
        "status": status,
    }
