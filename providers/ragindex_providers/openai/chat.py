"""Answers from an OpenAI-compatible service, streamed."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from ragindex_core.chunking.tokens import EstimatingTokenizer
from ragindex_core.errors import Unavailable
from ragindex_core.ports import GenerationDone, GenerationEvent, GenerationRequest, TextDelta
from ragindex_providers.openai.http import Refusal, client_options, failure_in_stream, transport_failure
from ragindex_providers.openai.sse import EventReader, EventTooLong
from ragindex_providers.settings import Endpoint
from ragindex_providers.text import encodable

_MAX_REFUSAL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What this service turned out to understand. Older ones know no ``stream_options``, newer models of OpenAI's own
    no ``max_tokens``."""

    stream_options: bool = True
    completion_tokens: bool = False

    def after(self, refusal: Refusal) -> _Dialect | None:
        """Another way to ask; None when that is not what the refusal is about."""
        if refusal.status not in (400, 422):
            return None
        if self.stream_options and refusal.mentions("stream_options"):
            return replace(self, stream_options=False)
        if not self.completion_tokens and refusal.mentions("max_completion_tokens"):
            return replace(self, completion_tokens=True)
        return None

    def payload(self, model: str, request: GenerationRequest) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": encodable(request.system)},
                {"role": "user", "content": encodable(request.user)},
            ],
            "max_completion_tokens" if self.completion_tokens else "max_tokens": request.max_tokens,
            "stream": True,
        }
        if self.stream_options:
            payload["stream_options"] = {"include_usage": True}
        if request.temperature is not None:
            payload["temperature"] = request.temperature
        return payload


class OpenAIGenerator:
    """One model of one service. It asks once: what comes next is the route list's to decide. Closing an iterator of
    ``stream`` closes its connection, which makes the service stop."""

    def __init__(self, endpoint: Endpoint, model: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._who = f"endpoint {endpoint.name}, model {model}"
        self._client = httpx2.AsyncClient(**client_options(endpoint))
        self._total_seconds = endpoint.timeouts.total_seconds
        self._clock = clock
        self._dialect = _Dialect()

    @property
    def name(self) -> str:
        return f"OpenAI/{self._model}"

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        if self._client.is_closed:
            raise Unavailable(f"{self._who}: the generator is closed")
        dialect: _Dialect | None = self._dialect
        while dialect is not None:
            try:
                payload = dialect.payload(self._model, request)
                async with self._client.stream("POST", "chat/completions", json=payload) as response:
                    if response.status_code == 200:
                        async with aclosing(self._events(request, response)) as events:
                            async for event in events:
                                yield event
                        return
                    refusal = Refusal(response.status_code, response.headers, await _beginning(response))
            except httpx2.HTTPError as error:
                raise transport_failure(self._who, error) from error
            dialect = dialect.after(refusal)
            if dialect is not None:
                self._dialect = dialect  # for the next request; those under way learn by themselves
        raise refusal.error(self._who)

    async def close(self) -> None:
        await self._client.aclose()

    async def _events(
        self, request: GenerationRequest, response: httpx2.Response
    ) -> AsyncGenerator[GenerationEvent, None]:
        deadline = self._clock() + self._total_seconds
        answer = _Answer(self._who)
        async with aclosing(_payloads(response, self._who)) as payloads:
            async for payload in payloads:
                if payload == b"[DONE]":
                    answer.ended = True
                    break
                if text := answer.take(payload):
                    yield TextDelta(text)
                if self._clock() > deadline:
                    raise Unavailable(f"{self._who} answers without end")
        yield answer.done(self._model, request)


class _Answer:
    """What is known of an answer so far."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._text: list[str] = []
        self._usage: dict[str, Any] = {}
        self._stop_reason = ""
        self.ended = False

    def take(self, payload: bytes) -> str:
        """The text that this part adds."""
        try:
            part = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self._who} streamed something that is not JSON") from error
        if not isinstance(part, dict):
            raise Unavailable(f"{self._who} streamed something that is not an object")
        if part.get("error"):
            raise failure_in_stream(self._who, part["error"])
        if isinstance(usage := part.get("usage"), dict):
            self._usage = usage
        choices = part.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return ""  # the last part tells only the usage; some services open with their filters' results
        if reason := choices[0].get("finish_reason"):
            self._stop_reason = str(reason)
            self.ended = True
        delta = choices[0].get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        if not isinstance(text, str):
            return ""
        self._text.append(text)
        return text

    def done(self, model: str, request: GenerationRequest) -> GenerationDone:
        if not self.ended:
            raise Unavailable(f"{self._who} stopped in the middle of its answer")
        return GenerationDone(
            model=model,
            input_tokens=self._count("prompt_tokens", request.system, request.user),
            output_tokens=self._count("completion_tokens", *self._text),
            stop_reason=self._stop_reason or "stop",
        )

    def _count(self, key: str, *texts: str) -> int:
        reported = self._usage.get(key)
        if isinstance(reported, int):
            return reported
        # No report is no free answer: budgets and costs get a cautious estimate.
        return sum(map(len, EstimatingTokenizer().token_spans(["".join(texts)])))


async def _payloads(response: httpx2.Response, who: str) -> AsyncGenerator[bytes, None]:
    reader = EventReader()
    try:
        async for part in response.aiter_bytes():
            for payload in reader.feed(part):
                yield payload
        for payload in reader.end():
            yield payload
    except EventTooLong as error:
        raise Unavailable(f"{who} streamed a part without end") from error


async def _beginning(response: httpx2.Response) -> bytes:
    """Enough of a refusal to know why."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_REFUSAL_BYTES:
            break
    return bytes(body)
