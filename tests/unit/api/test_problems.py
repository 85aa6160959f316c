"""Errors become problems: the right status, and nothing said that the caller has no business knowing."""

from __future__ import annotations

import pytest

from ragindex_api.problems import Kind, ProblemError, told, translate
from ragindex_core.document import DocumentReason
from ragindex_core.errors import (
    Conflict,
    DocumentRejected,
    FieldProblem,
    Gone,
    InvalidInput,
    InvalidSpec,
    Misconfigured,
    NotFound,
    NotReady,
    ProviderRefused,
    RagIndexError,
    Throttled,
    Unavailable,
)
from ragindex_db.engine import DatabaseFull, DatabaseUnavailable


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput.field("top_k", "must be at least 1"), 422),
        (InvalidSpec([FieldProblem("spec", "broken")]), 500),
        (NotFound("no index"), 404),
        (Gone("dropped"), 410),
        (Conflict("not now"), 409),
        (NotReady("soon"), 503),
        (DocumentRejected(DocumentReason.CORRUPT, "broken"), 422),
        (Throttled("wait"), 503),
        (Unavailable("away"), 503),
        (ProviderRefused("no such model"), 502),
        (Misconfigured("no key"), 500),
        (RagIndexError("?"), 500),
        (ValueError("?"), 500),
        (ProblemError(Kind.BUSY, "full"), 429),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int) -> None:
    assert translate(error).kind.status == status


@pytest.mark.parametrize("error", [ValueError("password=x"), Misconfigured("password=x")])
def test_what_was_not_meant_for_the_caller_is_not_told(error: Exception) -> None:
    assert "password" not in str(translate(error).body("/v1", "id"))


def test_a_full_disk_is_named(caplog: pytest.LogCaptureFixture) -> None:
    problem = told(DatabaseFull("could not extend file base/5/16800", 5), "r-1")
    assert problem.detail == "the disk of the database is full: nothing can be written until there is room"
    assert problem.kind.status == 503
    [record] = caplog.records
    assert "16800" in record.__dict__["reason"]


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("the database does not answer: connection to db.internal:5432 refused", 1),
        Misconfigured("the file /etc/secret/db.internal is not there"),
        ValueError("db.internal"),
    ],
)
def test_what_the_caller_is_not_told_is_in_the_log_under_the_requests_id(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    problem = told(error, "r-1")
    assert "db.internal" not in str(problem.body("/v1", "r-1"))
    [record] = caplog.records
    assert record.__dict__["request_id"] == "r-1"
    assert "db.internal" in f"{record.__dict__.get('reason')}{record.exc_info}"


def test_what_the_caller_is_told_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert told(NotFound("no index"), "r-1").detail == "no index"
    assert not caplog.records


def test_the_body_names_fields_and_request() -> None:
    body = translate(InvalidInput.field("top_k", "must be at least 1")).body("/v1/x", "abc")
    assert body["errors"] == [{"field": "top_k", "message": "must be at least 1"}]
    assert (body["instance"], body["request_id"], body["status"]) == ("/v1/x", "abc", 422)


def test_when_to_come_back_is_the_providers_word_where_it_gave_one() -> None:
    assert translate(Throttled("wait", 42)).retry_after_seconds == 42
    assert translate(Unavailable("away")).retry_after_seconds is not None
    assert translate(NotFound("x")).retry_after_seconds is None
