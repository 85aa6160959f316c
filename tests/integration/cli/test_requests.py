"""What the command line writes to the catalogue, and what it makes of the answer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.cli.service import FakeService, Reply, running

from ragindex_db import indexes, installations, requests, signals
from ragindex_db.engine import Connection, Database
from ragindex_db.indexes import IndexRow
from ragindex_local.cli.failures import ExitCode
from ragindex_local.cli.root import run


@pytest.fixture
def index(database: Database) -> IndexRow:
    database.run(installations.raise_epoch, "local", "test")
    return database.run(_register, "book")


def _register(connection: Connection, name: str) -> IndexRow:
    return indexes.register(
        connection,
        installation="local",
        uid=str(uuid.uuid4()),
        namespace="default",
        name=name,
        generation=1,
        object_metadata={},
        spec={},
        knowledge_base_id=uuid.uuid4().hex[:10].upper(),
        base_path=None,
        suspended=False,
    )


@pytest.fixture
def data(tmp_path: Path, database_url: str, index: IndexRow) -> Iterator[Path]:
    """The folder of a `ragindex up` whose service knows the index."""
    with running() as service:
        _knows(service, index)
        (tmp_path / "run.json").write_text(json.dumps({"url": service.url, "database_url": database_url}))
        yield tmp_path


def _knows(service: FakeService, index: IndexRow) -> None:
    service.replies["GET /v1/indexes/default/book"] = Reply({"metadata": {"uid": index.uid}})


@contextmanager
def reconciler(database: Database, index: IndexRow, outcome: str, message: str) -> Iterator[list[str]]:
    """Answers whatever is asked, as soon as it is signalled, and says so."""
    seen: list[str] = []

    def look(topic: str) -> None:
        if topic not in (f"request:{index.id}", signals.LISTENING):
            return
        with database.begin() as connection:
            for request in requests.waiting(connection, index.id):
                seen.append(f"{request.origin} {request.name} {request.value}")
                requests.answer(connection, index.id, request.name, request.value, outcome, message)
            signals.send(connection, "answered")

    listener = signals.Listener(database.settings.url, look)
    listener.start()
    try:
        yield seen
    finally:
        listener.stop()


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["promote", "book", "r2"], "promote r2@"),
        (["rollback", "book", "r1"], "rollback r1@"),
        (["approve", "book", "r3"], "approve r3@"),
        (["accept-shrink", "book", "41"], "accept-shrink 41@"),
        (["retry-failed", "book"], "retry-failed all@"),
        (["rebuild", "book"], "rebuild all@"),
    ],
)
def test_a_request_is_recorded_and_its_outcome_shown(
    database: Database,
    index: IndexRow,
    data: Path,
    arguments: list[str],
    asked: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with reconciler(database, index, "Done", "as you wished") as seen:
        assert run([*arguments, "--data", str(data), "--timeout", "20"]) == ExitCode.OK
    assert seen[0].startswith(f"cli {asked}")
    assert "as you wished" in capsys.readouterr().out


def test_the_same_may_be_asked_again(database: Database, index: IndexRow, data: Path) -> None:
    with reconciler(database, index, "Done", "") as seen:
        for _ in range(2):
            assert run(["rollback", "book", "r1", "--data", str(data), "--timeout", "20", "--json"]) == ExitCode.OK
    assert len(set(seen)) == 2


def test_a_request_that_is_refused_says_why(
    database: Database, index: IndexRow, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reconciler(database, index, "Refused", "there is no revision r9"):
        assert run(["promote", "book", "r9", "--data", str(data), "--timeout", "20"]) == ExitCode.FAILED
    assert "there is no revision r9" in capsys.readouterr().err


def test_a_request_that_nobody_answers_stays_and_says_so(
    database: Database, index: IndexRow, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["promote", "book", "r2", "--data", str(data), "--timeout", "0"]) == ExitCode.UNAVAILABLE
    assert "recorded" in capsys.readouterr().err
    [waiting] = database.run(requests.waiting, index.id)
    assert waiting.name == "promote"


class TestRetained:
    def test_what_is_retained_is_listed_and_dropped_by_name(
        self, database: Database, index: IndexRow, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        database.run(indexes.retain, index.id)
        assert run(["retained", "--data", str(data), "--json"]) == ExitCode.OK
        assert [each["uid"] for each in json.loads(capsys.readouterr().out)["items"]] == [index.uid]
        assert run(["purge", "book", "--yes", "--data", str(data)]) == ExitCode.OK
        assert database.run(indexes.by_uid, index.uid) is None

    def test_what_is_in_use_cannot_be_purged(
        self, database: Database, index: IndexRow, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["purge", index.uid, "--yes", "--data", str(data)]) == ExitCode.NOT_FOUND
        assert "nothing is retained" in capsys.readouterr().err
        assert database.run(indexes.by_uid, index.uid) is not None

    def test_a_name_that_stands_for_two_must_be_told_apart(
        self, database: Database, index: IndexRow, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        database.run(indexes.retain, index.id)
        other = database.run(_register, "book")
        database.run(indexes.retain, other.id)
        assert run(["purge", "book", "--yes", "--data", str(data)]) == ExitCode.FAILED
        assert other.uid in capsys.readouterr().err
        assert run(["purge", other.uid, "--yes", "--data", str(data)]) == ExitCode.OK
        assert database.run(indexes.by_uid, index.uid) is not None

    def test_nothing_is_dropped_without_consent(self, database: Database, index: IndexRow, data: Path) -> None:
        database.run(indexes.retain, index.id)
        assert run(["purge", "book", "--data", str(data)]) == ExitCode.INVALID
        assert database.run(indexes.by_uid, index.uid) is not None


class TestMigrate:
    def test_a_database_is_made_ready_and_waited_for(
        self, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("RAGINDEX_DATABASE_URL", empty_database_url)
        assert run(["migrate", "--wait", "--timeout", "0"]) == ExitCode.UNAVAILABLE
        assert run(["migrate", "--bootstrap"]) == ExitCode.OK
        assert run(["migrate", "--wait", "--timeout", "0"]) == ExitCode.OK
        assert "is at version" in capsys.readouterr().out
