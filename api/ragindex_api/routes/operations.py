"""What those who run the service ask: is it alive, is it ready, what can it do."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response

from ragindex_api.openapi import describe, replies
from ragindex_api.page import POLICY, page
from ragindex_api.readiness import Readiness
from ragindex_api.routes.common import Closed, Json
from ragindex_api.services import Wired
from ragindex_api.wire.documents import Health


def router(wired: Wired, app: FastAPI) -> APIRouter:
    routes = APIRouter(tags=["operation"], route_class=Closed)
    readiness = Readiness(wired.database, wired.drain)

    @routes.get(
        "/healthz",
        summary="Alive",
        operation_id="healthz",
        response_class=Json,
        response_model=None,
        responses=replies(200, "The process answers.", Health, problems=(422,)),
    )
    async def healthz() -> Response:
        return Json({"status": "ok"})

    @routes.get(
        "/readyz",
        summary="Ready",
        operation_id="readyz",
        response_class=Json,
        response_model=None,
        responses=replies(200, "The database answers and is migrated.", Health, problems=(422,)),
    )
    async def readyz() -> Response:
        await readiness.check()
        return Json({"status": "ok"})

    @routes.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Json(app.openapi())

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": POLICY})

    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # the framework's own way to do it
    return routes


def _described(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema
