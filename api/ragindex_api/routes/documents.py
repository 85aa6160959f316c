"""Documents of an index: what is there and in what state, sending one, reading its text, taking it out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import PlainTextResponse, Response

from ragindex_api import incoming, shaping
from ragindex_api.catalogue import ServingIndex
from ragindex_api.openapi import Replies, ref, replies
from ragindex_api.problems import Kind, ProblemError
from ragindex_api.routes.common import DOCUMENT, INDEX, Closed, DocumentId, Json, Name, Namespace, number_of, within
from ragindex_api.services import Wired
from ragindex_api.signals import index_topic
from ragindex_api.sse import unless_client_leaves
from ragindex_api.uploading import Received
from ragindex_api.wire.documents import DeletedDocument, DocumentList, DocumentOut, State, UploadAccepted
from ragindex_core.errors import Conflict, Gone, NotFound
from ragindex_db import documents, proof, signals
from ragindex_db.documents import DocumentRow

_DONE = frozenset({"Indexed", "Failed"})
#: A lost signal costs no more than this.
_LOOK_SECONDS = 2.0

_FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "With a file name: the document's path."},
        "metadata": {
            "type": "string",
            "description": "A JSON object of strings, numbers, booleans and lists of strings, to filter by.",
            "examples": ['{"department": "hr", "year": 2024}'],
        },
    },
}
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def _uploaded() -> Replies:
    found = replies(
        202,
        "Taken in; it is indexed in a moment.",
        UploadAccepted,
        problems=(400, 404, 409, 413, 415, 422, 429),
    )
    for status, description in (
        (200, "The same as before, by Idempotency-Key."),
        (201, "Indexed, or failed for good."),
    ):
        found[status] = {"description": description, "content": {"application/json": {"schema": ref(UploadAccepted)}}}
    return found


def router(wired: Wired) -> APIRouter:
    routes = APIRouter(tags=["documents"], route_class=Closed)

    @routes.get(
        f"{INDEX}/documents",
        summary="List documents",
        operation_id="listDocuments",
        response_class=Json,
        response_model=None,
        responses=replies(200, "A page of documents, in the order of their ids.", DocumentList, problems=(404, 422)),
    )
    async def list_documents(
        namespace: Namespace,
        name: Name,
        state: Annotated[State | None, Query(description="Only documents in this state.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Most documents of the page.")] = 100,
        after: Annotated[
            str | None, Query(pattern="^[0-9]{1,18}$", max_length=18, description="`next` of the page before.")
        ] = None,
    ) -> Response:
        """Documents with their states in the revision that answers. One that is being processed, or failed, may still
        be found in an older version: `indexed_version`."""
        index = await wired.catalogue.read(namespace, name)
        rows = await wired.database.run(
            documents.page, index.row.id, _revision_id(index), state=state, limit=limit + 1, after=int(after or 0)
        )
        page = rows[:limit]
        return Json(
            {
                "documents": [shaping.document(row) for row in page],
                "next": str(page[-1].id) if len(rows) > limit else None,
            }
        )

    @routes.post(
        f"{INDEX}/documents",
        summary="Send a document",
        operation_id="uploadDocument",
        status_code=202,
        response_class=Json,
        response_model=None,
        responses=_uploaded(),
        openapi_extra=_UPLOAD_BODY,
    )
    async def upload(
        request: Request,
        namespace: Namespace,
        name: Name,
        filename: Annotated[
            str | None, Query(max_length=1000, description="Of a body that is the bytes themselves.")
        ] = None,
        metadata: Annotated[
            str | None, Query(max_length=65536, description="As the form's field, for a body that is the bytes.")
        ] = None,
        wait: Annotated[
            Literal["indexed"] | None, Query(description="Answer once it is indexed or failed, or after a minute.")
        ] = None,
        idempotency_key: Annotated[
            str | None,
            Header(min_length=1, max_length=255, pattern="^[!-~]+$", description="The same key, the same document."),
        ] = None,
    ) -> Response:
        """A document for the index's source of the kind `uploads`: as `multipart/form-data` with the fields `file` and
        `metadata`, or as the bytes themselves under any other content type. One of the same name takes the former's
        place, which stays searchable until it is read."""
        index = await wired.catalogue.find(namespace, name)
        async with wired.uploads.slot(), within(wired.settings.upload_seconds):
            document = await incoming.read(
                request, index.spec.ingestion.max_object_bytes, wired.settings.upload_idle_seconds, filename, metadata
            )
            received = await wired.uploader.receive(index, document, idempotency_key)
        waiting = asyncio.create_task(_state_of(wired, index, received.document_id, wait=wait is not None))
        row = await unless_client_leaves(request, waiting)
        return _receipt(index, received, row)

    @routes.get(
        DOCUMENT,
        summary="Read a document's state",
        operation_id="readDocument",
        response_class=Json,
        response_model=None,
        responses=replies(200, "The document.", DocumentOut, problems=(404, 422)),
    )
    async def read_document(namespace: Namespace, name: Name, document_id: DocumentId) -> Response:
        """The proof of presence or absence: for a document that was deleted the problem tells since when
        (`deleted_at`) and how many of its chunks are left in all kept revisions (`remaining_chunks`)."""
        index = await wired.catalogue.read(namespace, name)
        return Json(shaping.document(await _present(wired, index, number_of(document_id))))

    @routes.get(
        f"{DOCUMENT}/content",
        summary="Read a document's text",
        operation_id="readContent",
        response_class=PlainTextResponse,
        response_model=None,
        responses={
            **replies(200, "", problems=(404, 410, 422)),
            200: {
                "description": "The text that spans point into, in code points.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
                "headers": {"ETag": {"description": "The version.", "schema": {"type": "string"}}},
            },
        },
    )
    async def read_content(
        namespace: Namespace,
        name: Name,
        document_id: DocumentId,
        version: Annotated[
            str | None,
            Query(description="As a result or citation names it.", pattern="^[0-9a-f]{16}$", max_length=16),
        ] = None,
    ) -> Response:
        """The document's normalised text, of the version that is indexed or of any that a kept revision refers to."""
        index = await wired.catalogue.read(namespace, name)
        row = await _known(wired, index, number_of(document_id))
        if row.deleted_at is not None:
            raise Gone("this document was deleted, and its text with it")
        try:
            found, text = await wired.database.run(documents.content, row.id, version, _revision_id(index))
        except NotFound:
            if version is None or version == row.version:
                raise
            raise Gone(f"no revision that is kept refers to version {version} of this document") from None
        return PlainTextResponse(text, headers={"ETag": f'"{found}"'})

    @routes.delete(
        DOCUMENT,
        summary="Delete an uploaded document",
        operation_id="deleteDocument",
        response_class=Json,
        response_model=None,
        responses=replies(200, "Deleted from every kept revision.", DeletedDocument, problems=(404, 409, 422)),
    )
    async def delete_document(namespace: Namespace, name: Name, document_id: DocumentId) -> Response:
        """Only what was uploaded: a document of another source would return with the next run, so that is a 409."""
        index = await wired.catalogue.read(namespace, name)
        row = await _present(wired, index, number_of(document_id))
        if row.upload_id is None:
            raise Conflict(
                f"this document comes from the source {row.source}, with which it would return: delete it there"
            )
        async with wired.database.begin() as connection:
            await connection.run_sync(documents.delete, index.row.id, [row.id])
            await connection.run_sync(signals.send, index_topic(index.row.id))
        return Json({"id": str(row.id), **await _proof(wired, await _known(wired, index, row.id), index)})

    return routes


def _revision_id(index: ServingIndex) -> int | None:
    return None if index.revision is None else index.revision.id


async def _known(wired: Wired, index: ServingIndex, document_id: int) -> DocumentRow:
    return await wired.database.run(documents.get, index.row.id, document_id, _revision_id(index))


async def _present(wired: Wired, index: ServingIndex, document_id: int) -> DocumentRow:
    row = await _known(wired, index, document_id)
    if row.deleted_at is not None:
        raise ProblemError(Kind.NOT_FOUND, "this document was deleted", extra=await _proof(wired, row, index))
    return row


async def _proof(wired: Wired, row: DocumentRow, index: ServingIndex) -> dict[str, Any]:
    remaining = await wired.database.run(proof.remaining_chunks, index.row.id, row.id)
    return {"deleted_at": shaping.moment(row.deleted_at), "remaining_chunks": remaining}


async def _state_of(wired: Wired, index: ServingIndex, document_id: int, *, wait: bool) -> DocumentRow:
    """The document as it is; with ``wait``, once it is done or the time is up."""
    changed = wired.hub.subscribe(index_topic(index.row.id))
    row = await _present(wired, index, document_id)
    if not wait or index.row.suspended:
        return row
    loop = asyncio.get_running_loop()
    until = loop.time() + wired.settings.wait_seconds
    while row.state not in _DONE and (left := until - loop.time()) > 0:
        try:
            async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                await changed.wait()
        except TimeoutError:
            pass
        changed.clear()
        # Read anew: the first revision may have come, or another one may serve by now.
        index = await wired.catalogue.read(index.row.namespace, index.row.name)
        row = await _present(wired, index, document_id)
    return row


def _receipt(index: ServingIndex, received: Received, row: DocumentRow) -> Response:
    status = 200 if received.replayed else 201 if row.state in _DONE else 202
    headers = {"Location": f"/v1/indexes/{index.row.full_name}/documents/{row.id}"}
    if received.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Json({"document": shaping.document(row), "sha256": received.sha256}, status, headers)
