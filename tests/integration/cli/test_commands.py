"""Commands against a service: what is sent, what is shown, how they end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.service import FakeService, Reply, event, running

from ragindex_local.cli.failures import ExitCode
from ragindex_local.cli.root import run
from ragindex_local.client import Client, Refused, Unreached

BOOK = "/v1/indexes/default/book"
RESULT = {
    "chunk_id": "1-1",
    "text": "Thirty days of leave.",
    "score": 1.0,
    "scores": {"keyword": 4.2},
    "document": {"id": "7", "uri": "file:///docs/leave.pdf", "title": "Leave", "version": "v"},
    "location": {"page": 3, "page_end": 4, "headings": ["Leave", "Days"]},
    "span": {"start": 0, "end": 21},
}
ANSWER: dict[str, Any] = {
    "answer": "Thirty days [1].",
    "outcome": "Answered",
    "citations": [{**RESULT, "marker": 1, "index": "default/book", "quote": "Thirty days of leave."}],
}
DOCUMENT = {
    "id": "7",
    "state": "Indexed",
    "reason": None,
    "message": None,
    "chunks": 2,
    "attempts": 1,
    "uri": "file:///docs/leave.pdf",
}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with running() as found:
        yield found


def test_search_shows_title_place_and_text(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.replies[f"POST {BOOK}/search"] = Reply({"results": [RESULT]})
    arguments = [
        "--top-k",
        "3",
        "--mode",
        "keyword",
        "--filter",
        '{"equals": {"key": "a", "value": 1}}',
        "--by-document",
    ]
    assert run(["search", "book", "leave", *arguments, "--url", service.url]) == ExitCode.OK
    shown = capsys.readouterr().out
    for part in ("Leave", "p. 3-4 › Leave › Days", "keyword 4.200", "Thirty days of leave."):
        assert part in shown
    assert json.loads(service.received[0][1]) == {
        "query": "leave",
        "top_k": 3,
        "mode": "keyword",
        "filter": {"equals": {"key": "a", "value": 1}},
        "group_by": "document",
    }


def test_a_search_that_finds_nothing_says_so_by_its_code(service: FakeService) -> None:
    service.replies[f"POST {BOOK}/search"] = Reply({"results": []})
    assert run(["search", "book", "leave", "--url", service.url]) == ExitCode.NOTHING_FOUND


def test_json_is_the_answer_of_the_service(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.replies[f"POST {BOOK}/answer"] = Reply(ANSWER)
    assert run(["answer", "book", "How much leave?", "--json", "--url", service.url]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == ANSWER


def test_an_answer_is_shown_with_its_citations(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.replies[f"POST {BOOK}/answer"] = Reply(ANSWER)
    assert run(["answer", "book", "How much leave?", "--url", service.url]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "Thirty days [1]." in shown
    assert "“Thirty days of leave.”" in shown


def test_no_evidence_has_a_code_of_its_own(service: FakeService) -> None:
    service.replies[f"POST {BOOK}/answer"] = Reply({**ANSWER, "outcome": "NoEvidence", "citations": []})
    assert run(["answer", "book", "Why?", "--url", service.url]) == ExitCode.NOTHING_FOUND


class TestStream:
    def test_events_come_one_by_one_until_done(self, service: FakeService) -> None:
        body = b":\n\n" + event("token", {"text": "Thirty"}) + event("done", ANSWER) + event("token", {"text": "more"})
        service.replies[f"POST {BOOK}/answer"] = Reply(body, media_type="text/event-stream")
        assert [each.name for each in Client(service.url).stream(f"{BOOK}/answer", {})] == ["token", "done"]

    def test_an_error_event_is_the_problem(self, service: FakeService) -> None:
        body = event("token", {"text": "Thi"}) + event("error", {"status": 503, "detail": "the model is busy"})
        service.replies[f"POST {BOOK}/answer"] = Reply(body, media_type="text/event-stream")
        with pytest.raises(Refused, match="the model is busy"):
            list(Client(service.url).stream(f"{BOOK}/answer", {}))

    def test_a_stream_that_breaks_off_is_no_answer(self, service: FakeService) -> None:
        service.replies[f"POST {BOOK}/answer"] = Reply(event("token", {"text": "Thi"}), media_type="text/event-stream")
        with pytest.raises(Unreached, match="in the middle"):
            list(Client(service.url).stream(f"{BOOK}/answer", {}))


def test_documents_are_read_page_by_page(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [
        Reply({"documents": [DOCUMENT], "next": "7"}),
        Reply({"documents": [{**DOCUMENT, "id": "8"}], "next": None}),
    ]
    service.replies[f"GET {BOOK}/documents"] = lambda _body: pages[len(service.received) - 1]
    assert run(["documents", "book", "--state", "Indexed", "--json", "--url", service.url]) == ExitCode.OK
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["documents"]] == ["7", "8"]
    assert "state=Indexed" in service.received[0][0]
    assert "after=7" in service.received[1][0]


def test_an_upload_sends_the_bytes_the_name_and_the_metadata(service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "a b.txt"
    file.write_bytes(b"x" * 300_000)
    service.replies[f"POST {BOOK}/documents"] = Reply({"document": DOCUMENT}, 202)
    arguments = ["--prefix", "hr/", "--metadata", '{"year": 2026}', "--wait", "--url", service.url]
    assert run(["upload", "book", str(file), *arguments]) == ExitCode.OK
    request, body = service.received[0]
    assert body == file.read_bytes()
    assert "filename=hr%2Fa+b.txt" in request
    assert "wait=indexed" in request


def test_an_upload_that_failed_is_told(
    service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(b"%PDF")
    failed = {**DOCUMENT, "state": "Failed", "reason": "Corrupt", "message": "it ends early"}
    service.replies[f"POST {BOOK}/documents"] = Reply({"document": failed}, 201)
    assert run(["upload", "book", str(file), "--wait", "--url", service.url]) == ExitCode.FAILED
    assert "Corrupt: it ends early" in capsys.readouterr().out


def test_metadata_that_is_no_json_is_refused_before_anything_is_sent(service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert run(["upload", "book", str(tmp_path / "a"), "--metadata", "x", "--url", service.url]) == ExitCode.INVALID
    assert service.received == []


def test_an_index_that_is_not_there(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "book", "--url", service.url]) == ExitCode.NOT_FOUND
    assert "`ragindex status` lists" in capsys.readouterr().err


def test_something_else_than_ragindex_is_told_from_it(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.replies["GET /v1/indexes"] = Reply(b"<html>", media_type="text/html")
    assert run(["status", "--url", service.url]) == ExitCode.UNAVAILABLE
    assert "is not a RagIndex service" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_told_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert run(["status", "--url", f"http://127.0.0.1:{port}"]) == ExitCode.UNAVAILABLE
    assert "ragindex up" in capsys.readouterr().err


def test_a_sync_waits_for_its_own_run_and_for_the_rest(service: FakeService) -> None:
    def index(reason: str, handled: str) -> Reply:
        going_on = str(reason != "UpToDate")
        condition = {"type": "Progressing", "status": going_on, "reason": reason, "observedGeneration": 2}
        status = {"conditions": [condition], "handled": {"sync": {"value": handled}}, "documents": {"total": 3}}
        return Reply({"metadata": {"generation": 2}, "spec": {}, "status": status})

    looks = [index("UpToDate", "earlier"), index("Syncing", "mine"), index("UpToDate", "mine")]
    service.replies[f"POST {BOOK}/sync"] = Reply({"request_id": "mine"}, 202)
    service.replies[f"GET {BOOK}"] = lambda _body: looks[len(service.received) - 2]
    assert run(["sync", "book", "--wait", "--url", service.url]) == ExitCode.OK
    assert len(service.received) == 4


@pytest.mark.parametrize(
    ("type_", "status", "reason", "words"),
    [
        ("Stalled", "True", "NotAllowed", "Bedrock is not available"),
        ("Suspended", "True", "SuspendedBySpec", "spec.suspend is true"),
        ("Progressing", "False", "AwaitingApproval", "ragindex.io/approve"),
    ],
)
def test_a_sync_does_not_wait_for_what_only_a_person_can_do(
    service: FakeService, type_: str, status: str, reason: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions = [
        {"type": type_, "status": status, "reason": reason, "message": words, "observedGeneration": 2},
        {"type": "Progressing", "status": "True", "reason": "Filling", "observedGeneration": 2},
    ]
    state = {"conditions": conditions, "handled": {"sync": {"value": "mine"}}}
    service.replies[f"POST {BOOK}/sync"] = Reply({"request_id": "mine"}, 202)
    service.replies[f"GET {BOOK}"] = Reply({"metadata": {"generation": 2}, "spec": {}, "status": state})
    assert run(["sync", "book", "--wait", "--url", service.url]) == ExitCode.FAILED
    assert f"{reason}: {words}" in capsys.readouterr().err


def test_deleted_documents_are_told_with_their_proof(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.replies[f"DELETE {BOOK}/documents/7"] = Reply({"id": "7", "deleted_at": "now", "remaining_chunks": 0})
    assert run(["delete", "book", "7", "--url", service.url]) == ExitCode.OK
    assert "7  deleted, 0 of its chunks are left" in capsys.readouterr().out
    assert run(["delete", "book", "8", "--url", service.url]) == ExitCode.NOT_FOUND


def test_a_wrong_command_line_is_json_too_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "book", "leave", "--top-k", "many", "--json"]) == ExitCode.INVALID
    assert "--top-k" in json.loads(capsys.readouterr().err)["error"]["detail"]


def test_completion_offers_the_indexes_there_are(service: FakeService) -> None:
    names = [{"metadata": {"namespace": "default", "name": "book"}}, {"metadata": {"namespace": "hr", "name": "leave"}}]
    service.replies["GET /v1/indexes"] = Reply({"items": names})
    environment = {"_RAGINDEX_COMPLETE": "bash_complete", "COMP_WORDS": "ragindex status ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "ragindex_local"],
        env={**environment, "RAGINDEX_URL": service.url},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert [line.partition(",")[2] for line in done.stdout.split()] == ["book", "hr/leave"]


def test_ctrl_c_is_code_130_and_no_traceback(service: FakeService) -> None:
    service.replies["GET /v1/indexes"] = Reply({"items": []})
    command = [sys.executable, "-m", "ragindex_local", "status", "--watch", "--url", service.url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 30
    while not service.received and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in errors


def test_a_reader_that_has_seen_enough_is_no_error(service: FakeService) -> None:
    many = [{**DOCUMENT, "uri": f"file:///{'x' * 200}/{number}"} for number in range(2000)]
    service.replies[f"GET {BOOK}/documents"] = Reply({"documents": many, "next": None})
    command = [sys.executable, "-m", "ragindex_local", "documents", "book", "--url", service.url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr is not None
    errors = child.stderr.read()
    child.stderr.close()
    assert (child.wait(30), errors) == (ExitCode.OK, b"")
