"""An ordered list of language models of which the first one that can answers.

A route that throttles or fails before its first word is passed over for the next. After the first word there is no way
back: a second model would begin another answer, so its failure is the answer's failure.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, cast

from ragindex_core.errors import InvalidInput, Throttled, Unavailable
from ragindex_core.ports import GenerationDone, GenerationEvent, GenerationRequest, Generator
from ragindex_providers.embedders import pick_endpoint
from ragindex_providers.settings import ProviderSettings

_LONGEST_REST_SECONDS = 300.0  # a route that asks for longer is asked again all the same


@dataclass(frozen=True, slots=True)
class GenerationChoice:
    """One item of ``spec.generation.routes``."""

    provider: str  # OpenAI
    model: str
    endpoint: str | None = None


def open_generator(choices: Sequence[GenerationChoice], settings: ProviderSettings) -> RoutedGenerator:
    """Raises InvalidInput with a field relative to ``spec.generation``."""
    return RoutedGenerator([_open_route(i, choice, settings) for i, choice in enumerate(choices)])


def _open_route(position: int, choice: GenerationChoice, settings: ProviderSettings) -> Generator:
    opener = _OPENERS.get(choice.provider)
    if opener is None:
        field = f"routes[{position}].provider"
        raise InvalidInput.field(field, f"{choice.provider!r} is not one of {', '.join(sorted(_OPENERS))}")
    return opener(choice, settings)


def _open_openai(choice: GenerationChoice, settings: ProviderSettings) -> Generator:
    from ragindex_providers.openai.chat import OpenAIGenerator

    return OpenAIGenerator(pick_endpoint(choice.endpoint, settings), choice.model)


_OPENERS: Mapping[str, Callable[[GenerationChoice, ProviderSettings], Generator]] = {"OpenAI": _open_openai}


class RouteOutcome(StrEnum):
    ANSWERED = "Answered"
    THROTTLED = "Throttled"
    FAILED = "Failed"
    RESTING = "Resting"  # not asked: it said earlier when it wants to be asked again


class RoutedGenerator:
    """``GenerationDone.model`` is the name of the route that answered; ``on_outcome`` hears of every one that was
    considered, in order."""

    def __init__(
        self,
        routes: Sequence[Generator],
        *,
        clock: Callable[[], float] = time.monotonic,
        on_outcome: Callable[[str, RouteOutcome], None] = lambda _name, _outcome: None,
    ) -> None:
        if not routes:
            raise InvalidInput.field("routes", "at least one is needed")
        self._routes = tuple(routes)
        self._clock = clock
        self._on_outcome = on_outcome
        self._rests_until: dict[int, float] = {}

    @property
    def name(self) -> str:
        return ", ".join(route.name for route in self._routes)

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        failures: list[Unavailable] = []
        for position, route in enumerate(self._routes):
            rest = self._rests_until.get(position, 0.0) - self._clock()
            if rest > 0:
                self._on_outcome(route.name, RouteOutcome.RESTING)
                failures.append(Throttled(f"{route.name} wants to be left alone for now", rest))
                continue
            begun = False
            try:
                async with aclosing(_closable(route.stream(request))) as events:
                    async for event in events:
                        begun = True
                        yield replace(event, model=route.name) if isinstance(event, GenerationDone) else event
            except Unavailable as failure:
                self._note(position, failure)
                if begun:
                    raise
                failures.append(failure)
            else:
                self._on_outcome(route.name, RouteOutcome.ANSWERED)
                return
        raise _together(failures) from failures[-1]

    async def close(self) -> None:
        for route in self._routes:
            await route.close()

    def _note(self, position: int, failure: Unavailable) -> None:
        throttled = isinstance(failure, Throttled)
        self._on_outcome(self._routes[position].name, RouteOutcome.THROTTLED if throttled else RouteOutcome.FAILED)
        if failure.retry_after_seconds:
            rest = min(failure.retry_after_seconds, _LONGEST_REST_SECONDS)
            self._rests_until[position] = self._clock() + rest


class _Closable(Protocol):
    def __aiter__(self) -> AsyncIterator[GenerationEvent]: ...

    async def aclose(self) -> None: ...


def _closable(events: AsyncIterator[GenerationEvent]) -> _Closable:
    """The port promises that closing an iterator cancels its call; its type cannot say so."""
    return cast("_Closable", events)


def _together(failures: Sequence[Unavailable]) -> Unavailable:
    """One error for a list that is used up: when to come back is when the first of them can be asked again."""
    waits = [f.retry_after_seconds for f in failures if f.retry_after_seconds is not None]
    message = "no route answers: " + "; ".join(map(str, failures))
    kind = Throttled if all(isinstance(f, Throttled) for f in failures) else Unavailable
    return kind(message, min(waits, default=None))
