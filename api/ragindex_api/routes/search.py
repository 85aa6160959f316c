"""Search, one question at a time or several in one request."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from ragindex_api import shaping
from ragindex_api.openapi import body, replies
from ragindex_api.routes.common import INDEX, Closed, Json, Name, Namespace, within
from ragindex_api.services import Wired
from ragindex_api.validation import json_bytes, parse
from ragindex_api.wire.search import BatchRequest, BatchResponse, SearchRequest, SearchResponse

_EXAMPLES = {
    "a question": {"query": "How many days of annual leave?", "top_k": 5},
    "with a filter": {"query": "E-4012", "mode": "keyword", "filter": {"equals": {"key": "year", "value": 2024}}},
    "several": {"searches": [{"query": "annual leave"}, {"query": "expenses", "group_by": "document"}]},
}


def router(wired: Wired) -> APIRouter:
    routes = APIRouter(tags=["search"], route_class=Closed)

    @routes.post(
        f"{INDEX}/search",
        summary="Search an index",
        operation_id="search",
        response_class=Json,
        response_model=None,
        responses=replies(
            200,
            "What was found, best first.",
            SearchResponse,
            BatchResponse,
            problems=(400, 404, 413, 415, 422, 429, 502),
        ),
        openapi_extra=body(SearchRequest, BatchRequest, examples=_EXAMPLES),
    )
    async def search(request: Request, namespace: Namespace, name: Name) -> Response:
        """The best passages of an index for a question, by vectors, by words, or by both."""
        data = await json_bytes(request, wired.settings.request_bytes, wired.settings.request_seconds)
        batch = _batch(data)
        queries = batch.searches if batch is not None else [parse(SearchRequest, data)]
        async with wired.searches.slot(), within(wired.settings.search_seconds):
            index = await wired.catalogue.find(namespace, name)
            found = await wired.retrieval.search(index, queries)
        bodies = [
            shaping.search_response(index, each, explain=query.explain)
            for each, query in zip(found, queries, strict=True)
        ]
        return Json(bodies[0] if batch is None else {"searches": bodies})

    return routes


def _batch(data: bytes) -> BatchRequest | None:
    """None for a single search. The bytes are looked at first: most requests need no second parse."""
    if b'"searches"' not in data:
        return None
    try:
        decoded = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parse(BatchRequest, data) if isinstance(decoded, dict) and "searches" in decoded else None
