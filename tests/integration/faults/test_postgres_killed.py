"""PostgreSQL killed again and again, during ingestion and under queries: nothing that was acknowledged is lost, and
worker and service go on in the same processes as soon as it is back."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
from tests.integration.faults.intact import check_intact
from tests.integration.faults.world import World, eventually, world

LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
KILLS, DOCUMENTS_A_KILL = (20, 150) if LONG else (3, 24)
#: The promise is 3 s; a machine that does much else at the same time gets some slack.
_BACK_WITHIN, _SLACK = 3.0, 2.0
#: What was in hand is taken up at once: a lease of ninety seconds is for workers that died.
_BEFORE_LEASES_RUN_OUT = 60.0


@dataclass
class Questions:
    """Somebody who asks all the time. Of each question: when it was asked, when it was answered, and how."""

    world: World
    asked: list[tuple[float, float, int]] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx2.Client(base_url=self.world.service.url, timeout=30) as client:
            while not self._stopped.wait(0.05):
                began = time.monotonic()
                body = {"query": "the keeper of tower 7"}
                status = client.post("/v1/indexes/default/notes/search", json=body).status_code
                self.asked.append((began, time.monotonic(), status))

    def stop(self) -> None:
        self._stopped.set()

    def answered_since(self, moment: float) -> bool:
        return any(began > moment and status == 200 for began, _, status in list(self.asked))

    def seconds_until_well(self, back: float, until: float) -> float:
        """From ``back`` until the last question that was refused before ``until``."""
        refused = [ended for began, ended, status in self.asked if status != 200 and began < until and ended > back]
        return max(refused, default=back) - back


@contextmanager
def questions(world: World) -> Iterator[list[Questions]]:
    asking = [Questions(world) for _ in range(2)]
    threads = [threading.Thread(target=each.run) for each in asking]
    for thread in threads:
        thread.start()
    try:
        yield asking
    finally:
        for each in asking:
            each.stop()
        for thread in threads:
            thread.join()


def test_a_killed_server_loses_nothing_and_stops_nobody_for_long(tmp_path: Path) -> None:
    chance = random.Random(5)
    with world(tmp_path, tmp_path / "postgres") as running:
        running.write({"first.md": "# First\n\nThe keeper of tower 7 is called Ansgar.\n"})
        running.await_indexed(1)
        before, acknowledged = running.pids, {"first.md"}
        waits: list[float] = []
        with questions(running) as asking:
            for kill in range(KILLS):
                _give_work(running, kill, acknowledged)
                _await_some(running, len(acknowledged), chance.uniform(0.1, 0.8))
                running.kill_server()
                running.server.restart()
                back = time.monotonic()
                for each in asking:
                    eventually("questions are answered", partial(each.answered_since, back))
                running.await_indexed(len(acknowledged), seconds=_BEFORE_LEASES_RUN_OUT)
                now = time.monotonic()
                waits.append(max(each.seconds_until_well(back, now) for each in asking))
        assert running.pids == before, "no process was restarted"
        asked = [question for each in asking for question in each.asked]
        assert {status for _, _, status in asked} <= {200, 503}, "whoever asks meanwhile is told to come again"
        told = ", ".join(f"{wait:.2f}" for wait in waits)
        print(f"{KILLS} kills, {len(acknowledged)} documents, {len(asked)} questions; seconds until well: {told}")  # noqa: T201
        assert max(waits) <= _BACK_WITHIN + _SLACK
        assert running.keys() == acknowledged, "what was taken in is there, what was taken out is not"
        check_intact(running.database, running.serving, len(acknowledged))


def _give_work(running: World, kill: int, acknowledged: set[str]) -> None:
    """A folder that changes, a document that the service says it has taken, and one that it says it has dropped."""
    text = "Tower {n} has a keeper, and the keeper of tower {n} has a dog. "
    files = {f"{kill:02}-{n:03}.md": f"# Tower {n}\n\n" + text.format(n=n) * 20 for n in range(DOCUMENTS_A_KILL)}
    running.write(files)
    acknowledged.update(files)
    for name in ("kept", "dropped"):
        reply = running.upload(f"{name}-{kill}.md", f"The crane of {name} {kill} is red.")
        assert reply.status_code == 202, reply.text
    acknowledged.add(f"kept-{kill}.md")
    document = reply.json()["document"]["id"]
    assert running.client.delete(f"/v1/indexes/default/notes/documents/{document}").status_code == 200


def _await_some(running: World, documents: int, share: float) -> None:
    """Until about so much of what is new is indexed; the rest is under way."""
    done = documents - DOCUMENTS_A_KILL + int(DOCUMENTS_A_KILL * share)
    eventually("ingestion is under way", lambda: running.states().get("Indexed", 0) >= done)
