"""A language model that says what it was told to say."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ragindex_core.errors import Unavailable
from ragindex_core.ports import GenerationDone, GenerationEvent, GenerationRequest, TextDelta

#: Text to say, an error to raise, or something to wait for: the ``wait`` of an event, say.
Step: TypeAlias = str | Exception | Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Reply:
    steps: Sequence[Step]
    stop_reason: str = "stop"


class ScriptedGenerator:
    """Replies in the order given, and refuses when there are none left. ``requests`` keeps what was asked,
    ``cancelled`` counts the replies that were closed before their end."""

    def __init__(self, replies: Iterable[Reply | str] = (), *, name: str = "Fake/script") -> None:
        self._name = name
        self.replies = deque(Reply([r]) if isinstance(r, str) else r for r in replies)
        self.requests: list[GenerationRequest] = []
        self.cancelled = 0
        self.closed = False

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        if self.closed:
            raise Unavailable("the generator is closed")
        self.requests.append(request)
        if not self.replies:
            raise Unavailable("the script has no reply left")
        reply = self.replies.popleft()
        said: list[str] = []
        try:
            for step in reply.steps:
                if isinstance(step, Exception):
                    raise step
                elif isinstance(step, str):
                    said.append(step)
                    yield TextDelta(step)
                else:
                    await step()
        except GeneratorExit:
            self.cancelled += 1
            raise
        words = len(request.system.split()) + len(request.user.split())
        yield GenerationDone(self._name, words, len("".join(said).split()), reply.stop_reason)

    async def close(self) -> None:
        self.closed = True
