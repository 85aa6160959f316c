"""Waking each other through the database: a signal costs nothing when lost, for everyone also looks by themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

CHANNEL = "ragindex"
LISTENING = "listening"


def send(connection: Connection, topic: str) -> None:
    """Delivered to all listeners when the transaction commits."""
    connection.execute(sa.select(sa.func.pg_notify(CHANNEL, topic)))


class Listener(threading.Thread):
    """Calls ``on_signal`` with the topic of each signal; comes back by itself when the server does.

    Whenever it has begun to listen it calls with the topic LISTENING, as nobody heard what was sent before.
    """

    def __init__(self, url: str, on_signal: Callable[[str], None]) -> None:
        super().__init__(name="signals", daemon=True)
        self._url = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._on_signal = on_signal
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, application_name="ragindex-signals") as connection:
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    self._on_signal(LISTENING)
                    while not self._stopped.is_set():
                        for signal in connection.notifies(timeout=0.5):
                            self._on_signal(signal.payload)
            except psycopg.Error:
                self._stopped.wait(1.0)

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=5)
