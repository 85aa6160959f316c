"""One command brings everything up, follows its files, survives what happens to it and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.local.running import Running, eventually

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")


def test_it_answers_follows_and_stops(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    answer = running.post("answer", {"question": "In which shade is lighthouse number 3 painted?"})
    assert answer["outcome"] == "Extractive"
    cited = answer["citations"][0]
    content = running.text(f"/v1/indexes/default/notes/documents/{cited['document']['id']}/content")
    assert content[cited["span"]["start"] : cited["span"]["end"]] == cited["quote"]
    assert "21" in cited["quote"]

    running.write("late.md", "# Late\n\nThe ferry to Skarholm leaves at six.\n")
    eventually("the new file is found", lambda: "Skarholm" in str(running.post("search", {"query": "Skarholm ferry"})))
    (running.objects / "files" / "late.md").unlink()
    eventually(
        "the deleted file is gone", lambda: "Skarholm" not in str(running.post("search", {"query": "Skarholm ferry"}))
    )

    running.write_object("kind: RagIndex\nspec: {chunking: {maxTokens: many}}\nmetadata: {name: notes}\n")
    eventually("the broken edit is told of", lambda: running.reason("Stalled") == "InvalidSpec")
    assert any("notes.yaml" in line and "spec.chunking.maxTokens" in line for line in running.said)
    assert running.post("search", {"query": "lighthouse"})["results"], "nothing was changed"
    running.write("meanwhile.md", "# Meanwhile\n\nThe chart of Vesterfjord is new.\n")
    eventually(
        "what is in force goes on", lambda: "Vesterfjord" in str(running.post("search", {"query": "Vesterfjord"}))
    )
    assert running.reason("Stalled") == "InvalidSpec"
    running.write_object()
    eventually("a mended file is told of too", lambda: running.reason("Stalled") != "InvalidSpec")

    assert running.stop() == 0
    assert eventually("nothing is left over", lambda: not running.leftovers(), 10)


def test_an_edit_of_chunking_under_queries_fails_none_and_mixes_none(running: Running) -> None:
    for n in range(60):
        body = "".join(f"The lighthouse of bay {n} has lamp {k} of colour {(n * k) % 97}. " for k in range(20))
        running.write(f"bay-{n:02}.md", f"# Bay {n}\n\n{body}\n")
    running.start()
    running.await_up_to_date()
    first = running.get("/v1/indexes/default/notes")["status"]["activeRevision"]["id"]
    stopping, failures, mixed, seen = threading.Event(), [], [], []

    def ask(worker: int) -> None:
        while not stopping.wait(0.2):  # eight of them: 20 a second even where an answer takes as long again
            try:
                found = running.post("search", {"query": f"lamp colour of bay {worker}", "top_k": 10})
            except OSError as error:
                failures.append(error)
                continue
            seen.append(found["revision"]["id"])
            numbers = {result["chunk_id"].partition("-")[0] for result in found["results"]}
            if len(numbers) != 1 or len(found["results"]) != 10:
                mixed.append(found)

    with ThreadPoolExecutor(8) as pool:
        began_asking = time.monotonic()
        asking = [pool.submit(ask, n) for n in range(8)]
        running.object["spec"]["chunking"] = {"maxTokens": 60, "overlapTokens": 5}
        running.write_object()
        eventually("promoted", lambda: _active(running) not in (None, first), 120)
        second = _active(running)
        began = time.monotonic()
        rolled = running.cli("rollback", "notes", str(first))
        took = time.monotonic() - began
        eventually("queries see it", lambda: seen and seen[-1] == first, 10)
        stopping.set()
        for done in asking:
            done.result()
        rate = len(seen) / (time.monotonic() - began_asking)
    print(f"{len(seen)} queries, {rate:.1f} a second; rollback {took:.1f} s")  # noqa: T201  the figure, with -s
    assert failures == []
    assert mixed == []
    assert len(seen) > 40
    assert set(seen) == {first, second}
    assert rolled.returncode == 0, rolled.stderr
    assert took < 15, f"a rollback is one row update, not {took:.1f} s"
    kept = running.get("/v1/indexes/default/notes")["status"]["retainedRevisions"]
    assert [revision["id"] for revision in kept] == [second]


def _active(running: Running) -> str | None:
    found = running.object_now() or {}
    active: str | None = found.get("status", {}).get("activeRevision", {}).get("id")
    return active


def test_kill_nine_loses_nothing_and_leaves_nothing(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    before = running.get("/v1/indexes/default/notes/documents")["documents"]
    running.stop(signal.SIGKILL)
    eventually("all its processes are gone", lambda: not running.leftovers(), 20)
    running.start()
    running.await_up_to_date()
    assert running.get("/v1/indexes/default/notes/documents")["documents"] == before
    assert running.stop(signal.SIGINT) in (0, 130)


def test_a_killed_worker_is_started_again(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    (worker,) = [pid for pid in running.leftovers() if b"worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(worker), signal.SIGKILL)
    running.write("after.md", "# After\n\nThe winch of Torsvik is new.\n")
    eventually("the next worker takes it", lambda: "Torsvik" in str(running.post("search", {"query": "Torsvik"})))


def test_removing_the_file_follows_the_deletion_policy(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    (running.objects / "notes.yaml").unlink()
    eventually("the index is gone", lambda: running.object_now() is None)
    assert "default/notes" in running.cli("retained").stdout
    running.write_object()
    running.await_up_to_date()


def test_a_taken_port_is_told_before_anything_is_started(running: Running) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", running.port))
        taken.listen()
        running.start()
        assert running.process is not None
        assert running.process.wait(30) != 0
    eventually("the reason is said", lambda: "--port" in "".join(running.said), 5)
    assert not (running.data / "postgres").exists()
