"""The generator for OpenAI-compatible services, against one that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.contracts.generator import REQUEST, WORDS, GeneratorContract, MakeGenerator, everything, said

from ragindex_core.errors import ProviderRefused, RagIndexError, Throttled, Unavailable
from ragindex_core.ports import GenerationDone, GenerationEvent, GenerationRequest, TextDelta
from ragindex_providers.openai.chat import OpenAIGenerator
from ragindex_providers.openai.sse import EventReader
from ragindex_providers.settings import Endpoint
from ragindex_providers.testing.openai_server import FakeOpenAIServer, Fault


class TestOpenAIGenerator(GeneratorContract):
    @pytest.fixture
    def generators(self, endpoint: Endpoint) -> MakeGenerator:
        return lambda: OpenAIGenerator(endpoint, "small")


@pytest.fixture
def answer(endpoint: Endpoint) -> Callable[..., list[GenerationEvent]]:
    def ask(request: GenerationRequest = REQUEST, times: int = 1) -> list[GenerationEvent]:
        async def scenario() -> list[GenerationEvent]:
            generator = OpenAIGenerator(endpoint, "small")
            try:
                return [event for _ in range(times) for event in await everything(generator, request)]
            finally:
                await generator.close()

        return asyncio.run(scenario())

    return ask


Answer = Callable[..., list[GenerationEvent]]


def test_only_what_was_set_is_sent(answer: Answer, server: FakeOpenAIServer) -> None:
    answer()
    answer(replace(REQUEST, temperature=0.0))
    first, second = (dict(request.body) for request in server.requests)
    assert first["messages"][1] == {"role": "user", "content": REQUEST.user}
    assert first["max_tokens"] == 100
    assert "temperature" not in first
    assert second["temperature"] == 0.0


def test_usage_is_the_services_own(answer: Answer) -> None:
    assert answer()[-1] == GenerationDone("small", 11, 3, "stop")


def test_a_service_that_tells_no_usage_gets_an_estimate(answer: Answer, server: FakeOpenAIServer) -> None:
    server.always(Fault(refuses_parameter="stream_options", message="stream_options is unknown"))
    done = answer()[-1]
    assert isinstance(done, GenerationDone)
    assert done.input_tokens > 8
    assert done.output_tokens >= 3


def test_a_dialect_is_learned_once(answer: Answer, server: FakeOpenAIServer) -> None:
    server.always(Fault(refuses_parameter="max_tokens", message="max_completion_tokens"))
    assert said(answer(times=2)) == "".join(WORDS) * 2
    assert ["max_completion_tokens" in request.body for request in server.requests] == [False, True, True]


def test_a_dialect_may_be_learned_by_several_at_once(endpoint: Endpoint, server: FakeOpenAIServer) -> None:
    server.always(Fault(refuses_parameter="stream_options", message="stream_options", delay_seconds=0.05))

    async def scenario() -> list[str]:
        generator = OpenAIGenerator(endpoint, "small")
        answers = await asyncio.gather(*(everything(generator) for _ in range(4)))
        await generator.close()
        return [said(events) for events in answers]

    assert asyncio.run(scenario()) == ["".join(WORDS)] * 4


FAILURES: list[Any] = [
    pytest.param(Fault(status=429, retry_after="9"), Throttled, id="throttled"),
    pytest.param(Fault(status=500), Unavailable, id="an internal error"),
    pytest.param(Fault(never_answers=True), Unavailable, id="silence"),
    pytest.param(Fault(status=401), ProviderRefused, id="a wrong key"),
    pytest.param(Fault(status=400), ProviderRefused, id="a refused request"),
    pytest.param(Fault(error_after=0), Unavailable, id="an error object first"),
    pytest.param(Fault(error_after=0, code="rate_limit_exceeded"), Throttled, id="throttled after the status 200"),
    pytest.param(Fault(break_after=0), Unavailable, id="nothing"),
    pytest.param(Fault(raw_body=b"data: {\n\n"), Unavailable, id="half an event"),
    pytest.param(Fault(raw_body=b"data: []\n\n"), Unavailable, id="an event of another kind"),
]


@pytest.mark.parametrize(("fault", "kind"), FAILURES)
def test_failures_are_told_apart(
    answer: Answer, server: FakeOpenAIServer, fault: Fault, kind: type[RagIndexError]
) -> None:
    server.always(fault)
    with pytest.raises(kind) as caught:
        answer()
    assert type(caught.value) is kind


@pytest.mark.parametrize("fault", [Fault(break_after=2), Fault(error_after=2)], ids=["broken off", "an error object"])
def test_an_answer_that_breaks_off_is_no_answer(endpoint: Endpoint, server: FakeOpenAIServer, fault: Fault) -> None:
    server.always(fault)

    async def scenario() -> list[str]:
        heard: list[str] = []
        generator = OpenAIGenerator(endpoint, "small")
        try:
            async for event in generator.stream(REQUEST):
                assert isinstance(event, TextDelta)
                heard.append(event.text)
        except Unavailable:
            heard.append("and then it failed")
        await generator.close()
        return heard

    assert asyncio.run(scenario()) == [*WORDS[:2], "and then it failed"]


def test_a_question_may_hold_half_a_character(answer: Answer, server: FakeOpenAIServer) -> None:
    answer(replace(REQUEST, user="what is \ud83d?"))
    assert server.requests[0].body["messages"][1]["content"] == "what is \ufffd?"


def test_closing_the_answer_closes_the_connection(endpoint: Endpoint) -> None:
    with FakeOpenAIServer(words=["word " * 200] * 50_000) as talkative:

        async def scenario() -> None:
            generator = OpenAIGenerator(replace(endpoint, base_url=talkative.base_url), "small")
            stream: Any = generator.stream(REQUEST)
            await anext(stream)
            await stream.aclose()
            await generator.close()

        asyncio.run(scenario())
        for _ in range(200):
            if talkative.broken_pipes:
                break
            talkative.wait(0.02)
        assert talkative.broken_pipes == 1


def test_an_event_may_hold_any_character_and_come_in_any_parts(answer: Answer, server: FakeOpenAIServer) -> None:
    text = "line\u2028separator\x85 and 🙂"
    part = json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": "length"}]}, ensure_ascii=False)
    stream = f": hello\r\n\r\nevent: x\r\ndata: {part}\r\n\r\ndata: [DONE]".encode()
    server.always(Fault(raw_body=stream))
    events = answer()
    assert said(events) == text
    assert isinstance(events[-1], GenerationDone)
    assert events[-1].stop_reason == "length"
    reader = EventReader()
    bytewise = [event for byte in stream for event in reader.feed(bytes([byte]))] + list(reader.end())
    assert bytewise == [part.encode(), b"[DONE]"]
