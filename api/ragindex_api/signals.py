"""Hears the database's signals in the event loop, so that waiting is waiting and not asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakSet

from ragindex_db.signals import Listener


class SignalHub:
    """Wakes everyone who waits for a topic. A signal may be lost: waiters also look by themselves now and then."""

    def __init__(self) -> None:
        self._waiters: dict[str, WeakSet[asyncio.Event]] = {}
        self._observers: list[Callable[[str], None]] = []
        self._listener: Listener | None = None

    def start(self, database_url: str) -> None:
        loop = asyncio.get_running_loop()

        def from_thread(topic: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.publish, topic)

        self._listener = Listener(database_url, from_thread)
        self._listener.start()

    def observe(self, observer: Callable[[str], None]) -> None:
        self._observers.append(observer)

    def publish(self, topic: str) -> None:
        for observer in self._observers:
            observer(topic)
        for event in list(self._waiters.get(topic, ())):
            event.set()

    def subscribe(self, topic: str) -> asyncio.Event:
        """Set at the next signal, and again after each ``clear``; forgotten with the last reference to it."""
        event = asyncio.Event()
        self._waiters.setdefault(topic, WeakSet()).add(event)
        return event

    async def stop(self) -> None:
        if self._listener is not None:
            await asyncio.to_thread(self._listener.stop)
            self._listener = None


def index_topic(index_id: int) -> str:
    """Something of this index changed: a document's state, a run, what serves."""
    return f"index:{index_id}"


def queue_topic(index_id: int) -> str:
    """There is work in this index's queue."""
    return f"queue:{index_id}"
