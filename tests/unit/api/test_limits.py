"""The door, the way down and the memory of questions, each by itself."""

from __future__ import annotations

import asyncio

import pytest

from ragindex_api.admission import Admission
from ragindex_api.drain import Drain
from ragindex_api.embedding import QueryEmbedder
from ragindex_api.metrics import Metrics
from ragindex_api.problems import ProblemError
from ragindex_api.settings import Limit
from ragindex_api.signals import SignalHub
from ragindex_core.errors import Misconfigured, Unavailable
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_providers.embedders import EmbeddingChoice

CHOICE = EmbeddingChoice("OpenAI", "words", 64)


def test_no_more_than_allowed_are_inside_and_the_rest_are_sent_away() -> None:
    async def scenario() -> None:
        door = Admission("searches", Limit(at_once=1, waiting=1, wait_seconds=5), Metrics())
        leave = asyncio.Event()
        entered: list[str] = []

        async def visit(name: str) -> None:
            async with door.slot():
                entered.append(name)
                await leave.wait()

        first = asyncio.create_task(visit("first"))
        second = asyncio.create_task(visit("second"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(ProblemError, match="are under way"):
            await visit("third")
        assert entered == ["first"]
        leave.set()
        await asyncio.gather(first, second)
        assert entered == ["first", "second"]

    asyncio.run(scenario())


def test_nobody_waits_at_the_door_for_ever() -> None:
    async def scenario() -> None:
        door = Admission("searches", Limit(at_once=1, waiting=1, wait_seconds=0.01), Metrics())
        async with door.slot():
            with pytest.raises(ProblemError):
                async with door.slot():
                    raise AssertionError("nobody gets in")
        async with door.slot():
            pass

    asyncio.run(scenario())


def test_the_way_down_waits_for_what_is_under_way_and_not_longer_than_it_may() -> None:
    async def scenario() -> None:
        quick = Drain()
        with quick.under_way():
            waiting = asyncio.create_task(quick.finish(5))
            await asyncio.sleep(0)
            assert quick.begun
        assert await waiting
        assert not quick.ending.is_set()
        slow = Drain()
        with slow.under_way():
            assert not await slow.finish(0.01, goodbye_seconds=0.01)
            assert slow.ending.is_set()

    asyncio.run(scenario())


def test_a_question_is_embedded_once_until_it_is_forgotten() -> None:
    async def scenario() -> None:
        inner = HashEmbedder(64)
        embedder = QueryEmbedder(lambda _choice: inner, remembered=2, threads=1, metrics=Metrics())
        assert (await embedder.embed(CHOICE, ["a", "b", "a"])).tokens > 0
        assert (await embedder.embed(CHOICE, ["b", "a"])).tokens == 0
        assert [list(texts) for texts, _ in inner.calls] == [["a", "b"]]
        await embedder.embed(CHOICE, ["c"])
        assert (await embedder.embed(CHOICE, ["a"])).tokens == 0
        assert (await embedder.embed(CHOICE, ["b"])).tokens > 0
        many = await embedder.embed(CHOICE, [str(n) for n in range(50)])
        assert len(many.vectors) == 50
        embedder.close()

    asyncio.run(scenario())


def test_an_embedder_that_cannot_be_opened_is_away_and_asked_again() -> None:
    async def scenario() -> None:
        openings = [Misconfigured("no key"), None]

        def open_embedder(_choice: EmbeddingChoice) -> HashEmbedder:
            if (failure := openings.pop(0)) is not None:
                raise failure
            return HashEmbedder(64)

        embedder = QueryEmbedder(open_embedder, remembered=2, threads=1, metrics=Metrics())
        with pytest.raises(Unavailable):
            await embedder.embed(CHOICE, ["a"])
        assert (await embedder.embed(CHOICE, ["a"])).tokens > 0
        embedder.close()

    asyncio.run(scenario())


def test_a_signal_wakes_those_who_wait_for_its_topic() -> None:
    async def scenario() -> None:
        hub = SignalHub()
        heard: list[str] = []
        hub.observe(heard.append)
        one, other = hub.subscribe("index:1"), hub.subscribe("index:2")
        hub.publish("index:1")
        assert (one.is_set(), other.is_set(), heard) == (True, False, ["index:1"])

    asyncio.run(scenario())
