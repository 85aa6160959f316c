"""Answers with citations, at once or as they come."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ragindex_api.openapi import Replies, body, replies
from ragindex_api.routes.common import INDEX, Closed, Json, Name, Namespace, within
from ragindex_api.services import Wired
from ragindex_api.sse import EventStream, unless_client_leaves
from ragindex_api.validation import json_bytes, parse
from ragindex_api.wire.answer import AnswerRequest, AnswerResponse

_EXAMPLES = {
    "at once": {"question": "How many days of annual leave do I get?"},
    "as it comes": {"question": "How many days of annual leave do I get?", "stream": True},
}
_EVENTS = """\
`retrieval` (what the answer will rest on), `token` (`{"text"}`), `citation`, then `done` (the whole answer, as without
`stream`) or `error` (a problem document); a comment every 15 s. Text from a `[` on is held until its marker is
verified."""

#: One event, as descriptions of streams have it: its name, and its data as text.
_EVENT = {
    "type": "object",
    "description": _EVENTS,
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "examples": ["retrieval", "token", "citation", "done", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


def _replies() -> Replies:
    found = replies(200, "The answer, or its events.", AnswerResponse, problems=(400, 404, 413, 415, 422, 429, 502))
    found[200]["content"]["text/event-stream"] = {"schema": _EVENT}
    return found


def router(wired: Wired) -> APIRouter:
    routes = APIRouter(tags=["answer"], route_class=Closed)

    @routes.post(
        f"{INDEX}/answer",
        summary="Answer a question",
        operation_id="answer",
        response_class=Json,
        response_model=None,
        responses=_replies(),
        openapi_extra=body(AnswerRequest, examples=_EXAMPLES),
    )
    async def answer(request: Request, namespace: Namespace, name: Name) -> Response:
        """An answer out of the index's documents. Each citation quotes its document word for word; a question that the
        documents do not answer gets `NoEvidence` and cites nothing."""
        data = await json_bytes(request, wired.settings.request_bytes, wired.settings.request_seconds)
        asked = parse(AnswerRequest, data)
        if asked.stream:
            return await _streamed(wired, request, namespace, name, asked)
        work = asyncio.create_task(_whole(wired, namespace, name, asked))
        return Json(await unless_client_leaves(request, work))

    return routes


async def _whole(wired: Wired, namespace: str, name: str, asked: AnswerRequest) -> dict[str, Any]:
    async with wired.answers.slot(), within(wired.settings.answer_seconds):
        index = await wired.catalogue.find(namespace, name)
        return await wired.answering.answer(await wired.answering.prepare(index, asked))


async def _streamed(wired: Wired, request: Request, namespace: str, name: str, asked: AnswerRequest) -> Response:
    """What can be refused is refused with a status; only then the stream begins, and keeps its slot to its end."""
    async with AsyncExitStack() as held:
        await held.enter_async_context(wired.answers.slot())
        async with within(wired.settings.search_seconds):
            index = await wired.catalogue.find(namespace, name)
            prepared = await wired.answering.prepare(index, asked)
        settings = wired.settings
        return EventStream(
            request,
            wired.answering.events(prepared),
            held.pop_all(),
            drain=wired.drain,
            heartbeat_seconds=settings.heartbeat_seconds,
            most_seconds=settings.answer_seconds,
        )
