"""Indexes as they are: the objects, their status, and the wish to have one brought up to date."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from ragindex_api import shaping
from ragindex_api.openapi import replies
from ragindex_api.routes.common import INDEX, Closed, Json, Name, Namespace
from ragindex_api.services import Wired
from ragindex_api.signals import index_topic
from ragindex_api.wire.documents import RagIndexList, RagIndexOut, RequestAccepted
from ragindex_core.object.reasons import RequestName
from ragindex_db import indexes, requests, room, signals


def router(wired: Wired) -> APIRouter:
    routes = APIRouter(tags=["indexes"], route_class=Closed)

    @routes.get(
        "/v1/indexes",
        summary="List indexes",
        operation_id="listIndexes",
        response_class=Json,
        response_model=None,
        responses=replies(200, "Every index, by namespace and name.", RagIndexList, problems=(422,)),
    )
    async def list_indexes() -> Response:
        rows = await wired.database.run(indexes.list_live, wired.installation)
        full = await wired.database.run(room.is_full)
        return Json({"items": [shaping.index_object(row, disk_full=full) for row in rows]})

    @routes.get(
        INDEX,
        summary="Read an index",
        operation_id="readIndex",
        response_class=Json,
        response_model=None,
        responses=replies(200, "The object, with its status.", RagIndexOut, problems=(404, 422)),
    )
    async def read_index(namespace: Namespace, name: Name) -> Response:
        """The RagIndex object as `kubectl get -o json` shows it."""
        index = await wired.catalogue.read(namespace, name)
        return Json(shaping.index_object(index.row, disk_full=await wired.database.run(room.is_full)))

    @routes.post(
        f"{INDEX}/sync",
        summary="Run now",
        operation_id="sync",
        status_code=202,
        response_class=Json,
        response_model=None,
        responses=replies(202, "A run was asked for.", RequestAccepted, problems=(404, 422)),
    )
    async def sync(namespace: Namespace, name: Name) -> Response:
        """Look at the index's sources now. A run that is under way goes on, and this one follows it."""
        index = (await wired.catalogue.read(namespace, name)).row
        request_id = uuid.uuid4().hex
        async with wired.database.begin() as connection:
            await connection.run_sync(requests.add, index.id, RequestName.SYNC.value, request_id, "api")
            await connection.run_sync(signals.send, index_topic(index.id))
        accepted = {
            "request_id": request_id,
            "index": index.full_name,
            "accepted_at": shaping.moment(datetime.now(UTC)),
        }
        return Json(accepted, 202, {"Location": f"/v1/indexes/{index.full_name}"})

    return routes
