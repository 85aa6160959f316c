"""What happens to the parts of ``ragindex up`` while it runs, and what is said of it."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
from pathlib import Path

import pytest
from tests.integration.local.running import Running, eventually

from ragindex_local.postgres import EmbeddedPostgres

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")


def _postmaster(running: Running) -> int:
    pid = running.data / "postgres" / "pgdata" / "postmaster.pid"
    return int(pid.read_text().splitlines()[0])


def _said(running: Running, words: str) -> bool:
    return any(words in line for line in list(running.said))


def test_a_killed_database_comes_back_and_no_document_is_lost(running: Running) -> None:
    for n in range(40):
        body = "".join(f"Warehouse {n} keeps crate {k} on shelf {(n * k) % 53}. " for k in range(60))
        running.write(f"warehouse-{n:02}.md", f"# Warehouse {n}\n\n{body}\n")
    running.start()
    eventually("ingestion is under way", lambda: 0 < _total(running, "notes") < 44)
    first = _postmaster(running)
    os.kill(first, signal.SIGKILL)
    eventually("it is told of", lambda: _said(running, "the database stopped; starting it again"), 20)
    eventually("it is back", lambda: _said(running, "the database is back"), 60)
    assert _postmaster(running) != first
    running.await_up_to_date()
    counts = running.get("/v1/indexes/default/notes")["status"]["documents"]
    assert counts == {"total": 44, "indexed": 44, "pending": 0, "failed": 0}
    assert running.post("search", {"query": "lighthouse painted"})["results"]

    running.write("after.md", "# After\n\nThe winch of Torsvik is new.\n")
    eventually("folders are followed still", lambda: "Torsvik" in _search(running, "Torsvik winch"))
    os.kill(_postmaster(running), signal.SIGKILL)
    eventually("a second time, too", lambda: sum("is back" in line for line in list(running.said)) == 2, 60)
    eventually("queries are answered", lambda: "Torsvik" in _search(running, "Torsvik winch"), 30)
    assert running.stop() == 0
    assert eventually("nothing is left over", lambda: not running.leftovers(), 10)


def test_a_database_that_cannot_come_back_ends_it_with_the_reason(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    control = running.data / "postgres" / "pgdata" / "global" / "pg_control"
    control.rename(control.with_name("pg_control.away"))
    os.kill(_postmaster(running), signal.SIGKILL)
    assert running.process is not None
    assert running.process.wait(90) != 0
    eventually("the reason is said", lambda: _said(running, "cannot be started again"), 5)
    assert eventually("nothing is left over", lambda: not running.leftovers(), 10)


def test_the_second_of_two_on_one_database_wins_and_the_first_says_so(running: Running, tmp_path: Path) -> None:
    second = Running(tmp_path / "second")
    second.folder.mkdir()
    second.write("note.md", "# Note\n\nThe ferry of Skarholm is blue.\n")
    second.write_object()
    with EmbeddedPostgres(tmp_path / "shared") as url:
        running.start(RAGINDEX_DATABASE_URL=url)
        running.await_up_to_date()
        second.start(RAGINDEX_DATABASE_URL=url)
        try:
            assert running.process is not None
            assert running.process.wait(60) == 1
            eventually("the reason is said", lambda: _said(running, "another `ragindex up` has taken over"), 5)
            second.await_up_to_date()
        finally:
            assert second.stop() == 0


def test_objects_that_share_a_folder_both_follow_it(running: Running) -> None:
    other = {**running.object, "metadata": {"name": "others"}}
    running.objects.mkdir(exist_ok=True)
    (running.objects / "others.yaml").write_text(json.dumps(other))
    running.start()
    running.await_up_to_date()
    eventually("the other too", lambda: _total(running, "others") == 4)
    running.write("late.md", "# Late\n\nThe ferry to Skarholm leaves at six.\n")
    eventually("both have it", lambda: [_total(running, name) for name in ("notes", "others")] == [5, 5])


def test_a_folder_that_comes_later_is_followed(running: Running) -> None:
    running.object["spec"]["sources"].append({"name": "later", "directory": {"path": "later"}})
    running.write_object()
    running.start()
    eventually("it waits for the folder", lambda: running.reason("Ingested") == "RunFailed")
    later = running.objects / "later"
    later.mkdir()
    (later / "a.md").write_text("# A\n\nThe crane of Vesterfjord is red.\n")
    eventually("it is found", lambda: "Vesterfjord" in _search(running, "Vesterfjord crane"), 25)


def test_what_moved_while_nothing_ran_is_found_at_the_next_start(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    running.stop()
    (running.objects / "files" / "note-0.md").unlink()
    running.write("meanwhile.md", "# Meanwhile\n\nThe lamp of Hallvik is green.\n")
    running.start()
    eventually("the new one is found", lambda: "Hallvik" in _search(running, "Hallvik lamp"))
    assert _total(running, "notes") == 4


def test_a_new_object_that_cannot_work_says_why_here_and_in_its_status(running: Running) -> None:
    running.start()
    running.await_up_to_date()
    draft = running.folder / "draft.json"
    spec = {**running.object["spec"], "embedding": {**running.object["spec"]["embedding"], "dimensions": 100}}
    draft.write_text(json.dumps({**running.object, "metadata": {"name": "wrong"}, "spec": spec}))
    draft.rename(running.objects / "wrong.json")
    eventually("it is said", lambda: _said(running, "default/wrong: not in force (InvalidSpec): spec.embedding"), 20)
    conditions = running.get("/v1/indexes/default/wrong")["status"]["conditions"]
    stalled = next(c for c in conditions if c["type"] == "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidSpec")


def _search(running: Running, query: str) -> str:
    try:
        return str(running.post("search", {"query": query}))
    except (OSError, urllib.error.HTTPError):
        return ""


def _total(running: Running, name: str) -> int:
    try:
        found = running.get(f"/v1/indexes/default/{name}/documents?state=Indexed")
    except (OSError, urllib.error.HTTPError):
        return 0
    return len(found["documents"])
