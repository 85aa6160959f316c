"""The ordered list of language models."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.contracts.generator import REQUEST, WORDS, GeneratorContract, MakeGenerator, everything, said

from ragindex_core.errors import ProviderRefused, Throttled, Unavailable
from ragindex_core.ports import GenerationDone, Generator
from ragindex_core.testing.generator import Reply, ScriptedGenerator
from ragindex_providers.routes import RoutedGenerator, RouteOutcome


class TestRoutedGenerator(GeneratorContract):
    @pytest.fixture
    def generators(self) -> MakeGenerator:
        return lambda: RoutedGenerator([ScriptedGenerator([Reply(WORDS)] * 3)])


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def routed(*routes: Generator, clock: Clock | None = None) -> tuple[RoutedGenerator, list[tuple[str, RouteOutcome]]]:
    outcomes: list[tuple[str, RouteOutcome]] = []
    generator = RoutedGenerator(
        routes, clock=clock or Clock(), on_outcome=lambda name, outcome: outcomes.append((name, outcome))
    )
    return generator, outcomes


@pytest.mark.parametrize("failure", [Throttled("full"), Unavailable("down")], ids=["throttled", "down"])
def test_the_next_route_answers_when_one_fails_before_its_first_word(failure: Exception) -> None:
    first = ScriptedGenerator([Reply([failure])], name="Fake/first")
    second = ScriptedGenerator(["answer"], name="Fake/second")
    generator, outcomes = routed(first, second)
    events = asyncio.run(everything(generator))
    assert said(events) == "answer"
    assert isinstance(events[-1], GenerationDone)
    assert events[-1].model == "Fake/second"
    assert [name for name, _ in outcomes] == ["Fake/first", "Fake/second"]
    assert outcomes[1][1] is RouteOutcome.ANSWERED


def test_a_failure_after_the_first_word_is_the_answers_failure() -> None:
    second = ScriptedGenerator(["never"])
    generator, _ = routed(ScriptedGenerator([Reply(["Thirty ", Unavailable("cut off")])]), second)
    with pytest.raises(Unavailable, match="cut off"):
        asyncio.run(everything(generator))
    assert second.requests == []


def test_a_refusal_is_not_passed_on() -> None:
    second = ScriptedGenerator(["never"])
    generator, _ = routed(ScriptedGenerator([Reply([ProviderRefused("wrong key")])]), second)
    with pytest.raises(ProviderRefused):
        asyncio.run(everything(generator))
    assert second.requests == []


def test_a_throttled_route_is_left_alone_until_its_time() -> None:
    clock = Clock()
    first = ScriptedGenerator([Reply([Throttled("full", 30)]), "back"])
    second = ScriptedGenerator(["one", "two"])
    generator, outcomes = routed(first, second, clock=clock)

    async def scenario() -> list[str]:
        answers = [said(await everything(generator)) for _ in range(2)]
        clock.now += 31
        return [*answers, said(await everything(generator))]

    assert asyncio.run(scenario()) == ["one", "two", "back"]
    assert RouteOutcome.RESTING in {outcome for _, outcome in outcomes}
    assert len(first.requests) == 2


def test_no_route_left_tells_when_to_come_back() -> None:
    generator, _ = routed(
        ScriptedGenerator([Reply([Throttled("full", 30)])]), ScriptedGenerator([Reply([Throttled("full", 9)])])
    )
    with pytest.raises(Throttled) as caught:
        asyncio.run(everything(generator))
    assert caught.value.retry_after_seconds == 9


def test_one_route_that_is_down_makes_it_no_matter_of_quota() -> None:
    generator, _ = routed(
        ScriptedGenerator([Reply([Throttled("full", 30)])]), ScriptedGenerator([Reply([Unavailable("down")])])
    )
    with pytest.raises(Unavailable) as caught:
        asyncio.run(everything(generator))
    assert not isinstance(caught.value, Throttled)


def test_closing_the_answer_cancels_the_route() -> None:
    route = ScriptedGenerator([Reply(WORDS)])
    generator, _ = routed(route)

    async def scenario() -> None:
        stream: Any = generator.stream(REQUEST)
        await anext(stream)
        await stream.aclose()

    asyncio.run(scenario())
    assert route.cancelled == 1
