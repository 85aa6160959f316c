"""Errors become problems: the right status, and nothing said that the caller has no business knowing."""

from __future__ import annotations

import pytest

from ragindex_api.problems import Kind, ProblemError, translate
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


def test_the_body_names_fields_and_request() -> None:
    body = translate(InvalidInput.field("top_k", "must be at least 1")).body("/v1/x", "abc")
    assert body["errors"] == [{"field": "top_k", "message": "must be at least 1"}]
    assert (body["instance"], body["request_id"], body["status"]) == ("/v1/x", "abc", 422)


def test_when_to_come_back_is_the_providers_word_where_it_gave_one() -> None:
    assert translate(Throttled("wait", 42)).retry_after_seconds == 42
    assert translate(Unavailable("away")).retry_after_seconds is not None
    assert translate(NotFound("x")).retry_after_seconds is None
