"""What every Generator promises: subclass, and give ``generators``, which makes one that answers ``WORDS``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import pytest

from ragindex_core.errors import Unavailable
from ragindex_core.ports import GenerationDone, GenerationEvent, GenerationRequest, Generator, TextDelta

WORDS = ("Thirty ", "days ", "[1].")
REQUEST = GenerationRequest(system="Answer from the passages.", user="How many days of leave?", max_tokens=100)

#: Makes a generator: clients belong to the event loop they are first used in.
MakeGenerator: TypeAlias = Callable[[], Generator]


async def everything(generator: Generator, request: GenerationRequest = REQUEST) -> list[GenerationEvent]:
    return [event async for event in generator.stream(request)]


def said(events: list[GenerationEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


class GeneratorContract:
    @pytest.fixture
    def generators(self) -> MakeGenerator:
        raise NotImplementedError

    def test_streams_the_text_and_ends_with_what_it_used(self, generators: MakeGenerator) -> None:
        async def scenario() -> None:
            generator = generators()
            events = await everything(generator)
            assert said(events) == "".join(WORDS)
            assert [isinstance(event, GenerationDone) for event in events].index(True) == len(events) - 1
            done = events[-1]
            assert isinstance(done, GenerationDone)
            assert done.input_tokens > 0
            assert done.output_tokens > 0
            assert done.stop_reason == "stop"
            assert done.model
            await generator.close()

        asyncio.run(scenario())

    def test_has_a_name_to_show(self, generators: MakeGenerator) -> None:
        async def scenario() -> None:
            generator = generators()
            assert "/" in generator.name
            await generator.close()

        asyncio.run(scenario())

    def test_closing_the_iterator_ends_the_call_and_leaves_the_generator_usable(
        self, generators: MakeGenerator
    ) -> None:
        async def scenario() -> None:
            generator = generators()
            stream: Any = generator.stream(REQUEST)
            async with aclosing(stream):
                async for event in stream:
                    assert isinstance(event, TextDelta)
                    break
            assert said(await everything(generator)) == "".join(WORDS)
            await generator.close()

        asyncio.run(scenario())

    def test_once_closed_it_says_so(self, generators: MakeGenerator) -> None:
        async def scenario() -> None:
            generator = generators()
            await generator.close()
            with pytest.raises(Unavailable):
                await everything(generator)

        asyncio.run(scenario())
