"""Hostile documents in a folder of good ones: each ends with a state and a reason, and the good ones never notice.

The figures show with ``pytest -s``; RAGINDEX_FAULTS=long adds the documents that run into a limit of time or memory.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx2
import pytest
from tests.integration.api.library import serve
from tests.integration.attack import hostile, parsers

from ragindex_core.ports import Fetched, Source
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.parsing.limits import ParseLimits

LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
GOOD = 12
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, makes pipes and devices")


def fill(engine: Any) -> None:
    for number in range(GOOD):
        engine.write(
            f"good/{number:02}.md", f"# Good {number}\n\nThe keeper of tower {number} is called keeper{number}.\n"
        )


def wrong(found: Any, ends: frozenset[str]) -> bool:
    if found.state == "Indexed":
        return hostile.READ not in ends
    return found.state != "Failed" or found.reason not in ends or not found.message


def test_each_document_ends_with_a_reason_and_the_good_ones_are_indexed(engine: Any) -> None:
    fill(engine)
    made = [document for document in hostile.documents() if LONG or not document.slow]
    for document in made:
        engine.write(document.name, document.make())
    engine.edit(ingestion={"maxAttemptsPerDocument": 1})
    began = time.monotonic()
    with parsers.watched() as peak:
        for _ in range(3):
            engine.reconcile()
            engine.work()
    seconds = time.monotonic() - began
    found = engine.documents()
    ends = Counter(found[document.name].reason or "Indexed" for document in made)
    print(f"{len(made)} hostile documents in {seconds:.0f} s: {dict(ends)}; a parser held {peak.mib:.0f} MiB")  # noqa: T201
    bad = {d.name: (found[d.name].state, found[d.name].reason) for d in made if wrong(found[d.name], d.ends)}
    assert bad == {}
    assert {document.state for key, document in found.items() if key.startswith("good/")} == {"Indexed"}
    assert len(found) == len(made) + GOOD
    assert 0 < peak.mib <= ParseLimits().memory_bytes / hostile.MIB


NAMES = [
    b"\x01\x1b[31mred\x07.txt",
    b"two\nlines.txt",
    "\u202etxt.exe".encode(),
    "\u2066isolated\u2069.txt".encode(),
    b"caf\xe9.txt",
    b"\xed\xa0\x80surrogate.txt",
    b"\xff\xfe\xfd",
    b"'; DROP TABLE ragindex.documents; --.txt",
    b"%00%s%n%41.txt",
    b"back\\slash.txt",
    b"-rf.txt",
    b"<script>alert(1)</script>.txt".replace(b"/", b"\xe2\x88\x95"),
    "é.txt".encode(),
    "e\u0301.txt".encode(),
    b"a" * 255,
    b"nul\x7f.txt",
    b"{\"a\": 'b'}.txt",
]


def test_names_are_only_names(engine: Any, database_url: str) -> None:
    fill(engine)
    folder = os.fsencode(engine.files)
    for number, name in enumerate(NAMES):
        with open(folder + b"/" + name, "wb") as file:
            file.write(f"Words of hostile number{number}.".encode())
    engine.settle()
    service = serve(database_url, embedder=HashEmbedder(64))
    try:
        with httpx2.Client(base_url=f"{service.url}/v1/indexes/{engine.row.full_name}", timeout=20) as api:
            listed = api.get("/documents", params={"limit": 100}).json()["documents"]
            assert {document["state"] for document in listed} == {"Indexed"}
            assert len({document["uri"] for document in listed}) == len(listed) == len(NAMES) + GOOD
            assert all(document["uri"].isprintable() for document in listed)
            for number in range(len(NAMES)):
                query = {"query": f"hostile number{number}", "mode": "keyword", "top_k": 1}
                [hit] = api.post("/search", json=query).json()["results"]
                assert hit["text"] == f"Words of hostile number{number}."
                text = api.get(f"/documents/{hit['document']['id']}/content").text
                assert text == hit["text"]
                same = {"equals": {"key": "_id", "value": hit["document"]["id"]}}
                [again] = api.post("/search", json=query | {"query": "words", "filter": same}).json()["results"]
                assert again["document"] == hit["document"]
    finally:
        service.stop()


def test_what_is_no_file_of_the_folder_is_not_read(engine: Any) -> None:
    """Links out of it, round in circles and to devices; pipes that nobody writes to; sockets; devices."""
    fill(engine)
    files: Path = engine.files
    secret = engine.folder / "secret.txt"
    secret.write_text("root:x:0:0")
    (files / "absolute.txt").symlink_to("/etc/passwd")
    (files / "up.txt").symlink_to("../secret.txt")
    (files / "loop.txt").symlink_to("loop.txt")
    (files / "outside").symlink_to("..")
    (files / "root").symlink_to("/")
    (files / "endless.txt").symlink_to("/dev/zero")
    (files / "memory.txt").symlink_to("/proc/self/mem")
    os.mkfifo(files / "pipe.txt")
    (files / "to-pipe.txt").symlink_to("pipe.txt")
    os.mkfifo(files / "good" / "00.md.metadata.json")
    (files / "good" / "01.md.metadata.json").symlink_to("../../secret.txt")
    (files / "good" / "02.md.metadata.json").mkdir()
    (files / "folder.md").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(files / "socket.txt"))
        try:
            os.mknod(files / "zero.txt", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            print("no device is made: that takes more rights")  # noqa: T201
        engine.settle()
    found = engine.documents()
    assert set(found) == {f"good/{number:02}.md" for number in range(GOOD)}
    assert {document.state for document in found.values()} == {"Indexed"}
    assert all(document.metadata == {} for document in found.values())


class Restless:
    """Whoever reads from this folder finds that the file is written to meanwhile."""

    def __init__(self, source: Source, change: Callable[[], None]) -> None:
        self._source, self._change = source, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def fetch(self, key: str, into: BinaryIO, max_bytes: int) -> Fetched:
        if key != "restless.md":
            return self._source.fetch(key, into, max_bytes)
        change = self._change

        class Writing:
            def write(self, data: bytes) -> int:
                change()
                return into.write(data)

        return self._source.fetch(key, cast(BinaryIO, Writing()), max_bytes)


@pytest.mark.parametrize("how", ["grows", "shrinks", "is another one"])
def test_a_file_that_changes_while_it_is_read_is_read_again_and_stops_nobody(engine: Any, how: str) -> None:
    fill(engine)
    path = engine.write("restless.md", "# Restless\n\n" + "words " * 400_000)
    times = 0

    def change() -> None:
        nonlocal times
        times += 1
        if how == "grows":
            with path.open("ab") as file:
                file.write(b"more")
        elif how == "shrinks":
            os.truncate(path, 1000)
        else:
            path.write_text("x" * path.stat().st_size)

    def open_source(index: Any, source: Any) -> Any:
        return Restless(engine.open_source(index, source), change)

    engine.edit(ingestion={"maxAttemptsPerDocument": 1})
    engine.reconcile()
    Worker(engine.database, engine.embedders, open_source, WorkerSettings(scratch=engine.scratch, drain=True)).run()
    engine.reconcile()
    Worker(engine.database, engine.embedders, open_source, WorkerSettings(scratch=engine.scratch, drain=True)).run()
    found = engine.documents()
    assert times > 0
    assert (found["restless.md"].state, found["restless.md"].reason) == ("Failed", "ChangedWhileReading")
    assert {document.state for key, document in found.items() if key.startswith("good/")} == {"Indexed"}
    path.write_text("# Restless\n\nAt rest at last.\n")
    engine.sync()
    assert engine.documents()["restless.md"].state == "Indexed"
