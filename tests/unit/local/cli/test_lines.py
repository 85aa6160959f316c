"""What the command line shows, reads and makes of addresses, names and errors."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from ragindex_core.errors import Conflict, InvalidInput, Misconfigured, NotFound, NotReady
from ragindex_local.cli import address
from ragindex_local.cli.failures import ExitCode, Failed, exit_code
from ragindex_local.cli.output import ago, table
from ragindex_local.cli.root import root, run
from ragindex_local.cli.status import one
from ragindex_local.client import Client, Event, IndexName, Refused, Unreached, read_events

HEAVY = ("sqlalchemy", "pydantic", "numpy", "fastapi", "onnxruntime", "psycopg", "yaml")


def test_help_loads_nothing_heavy() -> None:
    code = "import ragindex_local.cli, sys; print(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", list(root.commands))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == ExitCode.OK
    assert "Usage: ragindex" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["search"], ["search", "a/b/c", "q"], ["search", "a", "q", "--top-k", "0"]]
)
def test_a_wrong_command_line_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.INVALID
    assert "Error:" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == ExitCode.OK
    assert "_RAGINDEX_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "path"),
    [("handbook", "/v1/indexes/default/handbook"), ("hr/handbook", "/v1/indexes/hr/handbook")],
)
def test_names_of_indexes(text: str, path: str) -> None:
    assert IndexName.parse(text).path == path


@pytest.mark.parametrize("text", ["", "/", "a/", "/a", "a/b/c"])
def test_what_is_no_name_of_an_index(text: str) -> None:
    with pytest.raises(InvalidInput):
        IndexName.parse(text)


def test_events_are_read_and_comments_passed_over() -> None:
    lines = [
        ":\n",
        "\n",
        "event: token\n",
        'data: {"text": "a"}\n',
        "\n",
        ":\n",
        "event: done\r\n",
        "data: {}\r\n",
        "\r\n",
    ]
    assert list(read_events(iter(lines))) == [Event("token", {"text": "a"}), Event("done", {})]


def test_half_an_event_is_none() -> None:
    assert list(read_events(iter(["event: done\n", "data: {}\n"]))) == []


class TestAddress:
    def test_the_option_comes_first_then_the_run_file_then_the_default(self, tmp_path: Path) -> None:
        (tmp_path / "run.json").write_text(
            json.dumps({"url": "http://127.0.0.1:9000/", "database_url": "postgresql://a"})
        )
        assert address.find(None, tmp_path, {}) == address.Address("http://127.0.0.1:9000", "postgresql://a")
        assert address.find("http://other:1", tmp_path, {}).url == "http://other:1"

    def test_the_variable_of_the_database_comes_before_the_run_file(self, tmp_path: Path) -> None:
        (tmp_path / "run.json").write_text(json.dumps({"database_url": "postgresql://a"}))
        assert address.find(None, tmp_path, {"RAGINDEX_DATABASE_URL": "postgresql://b"}).database() == "postgresql://b"

    def test_no_database_says_how_to_name_one(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="RAGINDEX_DATABASE_URL"):
            address.find("http://127.0.0.1:8080", tmp_path, {}).database()

    def test_a_folder_that_is_named_and_where_nothing_runs_is_not_passed_over(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="no `ragindex up` runs with"):
            address.find(None, tmp_path, {})

    def test_nothing_named_and_nothing_running_means_the_default(self) -> None:
        assert address.find(None, None, {"RAGINDEX_DATABASE_URL": "postgresql://a"}).url == address.DEFAULT_URL

    def test_a_broken_run_file_says_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "run.json").write_text("{")
        with pytest.raises(Misconfigured, match="remove it"):
            address.find(None, tmp_path, {})

    @pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://"])
    def test_what_is_no_url_is_refused_before_anything_is_sent(self, url: str) -> None:
        with pytest.raises(InvalidInput):
            Client(url).get("/")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(422, {}), ExitCode.INVALID),
        (Refused(404, {}), ExitCode.NOT_FOUND),
        (Refused(410, {}), ExitCode.NOT_FOUND),
        (Refused(409, {}), ExitCode.FAILED),
        (Refused(500, {}), ExitCode.FAILED),
        (Refused(503, {}), ExitCode.UNAVAILABLE),
        (Unreached("x"), ExitCode.UNAVAILABLE),
        (NotReady("x"), ExitCode.UNAVAILABLE),
        (NotFound("x"), ExitCode.NOT_FOUND),
        (InvalidInput.field("a", "b"), ExitCode.INVALID),
        (Conflict("x"), ExitCode.FAILED),
    ],
)
def test_exit_codes(error: InvalidInput, code: ExitCode) -> None:
    assert exit_code(error) == code


def test_a_problem_is_one_sentence_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"detail": "the request breaks a rule", "errors": [{"field": "top_k", "message": "must be at most 100"}]}
    Failed(Refused(422, problem), as_json=False).show()
    assert "the request breaks a rule (top_k: must be at most 100)" in capsys.readouterr().err


def test_an_error_in_json_is_the_problem_document(capsys: pytest.CaptureFixture[str]) -> None:
    Failed(Refused(404, {"detail": "there is no index a/b", "request_id": "r"}), as_json=True).show()
    assert json.loads(capsys.readouterr().err)["error"] == {
        "detail": "there is no index a/b",
        "request_id": "r",
        "status": 404,
    }


def test_tables_are_aligned_whatever_is_in_them() -> None:
    shown = table(("NAME", "COUNT"), [("漢字", "7"), (click.style("red", fg="red"), "1200")])
    assert [click.unstyle(line) for line in shown.splitlines()] == ["NAME  COUNT", "漢字      7", "red    1200"]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, "never"),
        ("2026-01-01T11:59:57Z", "3 s ago"),
        ("2026-01-01T09:00:00Z", "3 h ago"),
        ("2026-01-01T12:10:30Z", "in 10 min"),
        ("2026-01-01T12:00:00Z", "now"),
    ],
)
def test_times_are_told_from_now(moment: str | None, text: str) -> None:
    assert ago(moment, datetime(2026, 1, 1, 12, tzinfo=UTC)) == text


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("AwaitingPromotion", "ragindex promote hr/book r2"),
        ("AwaitingApproval", "ragindex approve hr/book r2"),
        ("SourceShrunk", "ragindex accept-shrink hr/book 41"),
        ("UpToDate", "ragindex documents hr/book --state Failed"),
    ],
)
def test_status_says_what_to_type(reason: str, command: str) -> None:
    status = {
        "conditions": [{"type": "Progressing", "status": "False", "reason": reason}],
        "pendingRevision": {"id": "r2", "provider": "Local", "model": "m", "dimensions": 3},
        "ingestion": {"lastRun": "41"},
        "documents": {"failed": 1},
    }
    assert command in one({"metadata": {"namespace": "hr", "name": "book"}, "spec": {}, "status": status})


def test_status_shows_what_is_wrong_and_keeps_quiet_about_the_rest() -> None:
    conditions = [
        {"type": "Ready", "status": "True", "reason": "Serving", "message": "answers"},
        {"type": "Degraded", "status": "True", "reason": "DocumentsFailed", "message": "2 documents failed"},
        {"type": "Paused", "status": "False", "reason": "NotPaused", "message": ""},
    ]
    active = {"id": "r1", "provider": "Local", "model": "m", "dimensions": 3, "documents": 5, "chunks": 9}
    shown = click.unstyle(
        one(
            {
                "metadata": {"namespace": "hr", "name": "handbook", "generation": 2},
                "spec": {},
                "status": {
                    "conditions": conditions,
                    "documents": {"total": 7, "indexed": 5, "failed": 2},
                    "activeRevision": active,
                },
            }
        )
    )
    assert "DocumentsFailed" in shown
    assert "2 documents failed" in shown
    assert "NotPaused" not in shown
    assert "Documents   7: 5 indexed, 0 pending, 2 failed" in shown
    assert any(line.split()[:3] == ["r1", "active", "Local/m"] for line in shown.splitlines())
