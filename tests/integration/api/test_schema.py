"""The service against its own description, asked by a machine that tries what the description allows and forbids."""

from __future__ import annotations

import os
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.integration.api.library import Service

from ragindex_db.indexes import IndexRow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
#: Of each operation; RAGINDEX_FAULTS=long tries many more, and other ones each time.
LONG = os.environ.get("RAGINDEX_FAULTS") == "long"
EXAMPLES = 150 if LONG else 12


def test_the_service_keeps_what_its_description_promises(
    api: httpx2.Client, handbook: IndexRow, service: Service
) -> None:
    description = schemathesis.openapi.from_dict(api.get("/openapi.json").json())
    for each in description.get_all_operations():
        assert isinstance(each, Ok)
        operation = each.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=not LONG,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case[Any]) -> None:
            # Most names are of indexes that are not there; one that is brings the requests to the code behind.
            case.path_parameters.update({"namespace": "hr", "name": "handbook"} if case.path_parameters else {})
            case.call_and_validate(base_url=service.url, checks=CHECKS, timeout=10)

        holds()


@pytest.mark.parametrize("document_id", ["1", "2", "999"])
@pytest.mark.parametrize("operation", ["readDocument", "readContent", "deleteDocument"])
def test_documents_are_as_described(
    api: httpx2.Client, handbook: IndexRow, service: Service, operation: str, document_id: str
) -> None:
    description = schemathesis.openapi.from_dict(api.get("/openapi.json").json())
    case = description.find_operation_by_id(operation).Case(
        path_parameters={"namespace": "hr", "name": "handbook", "document_id": document_id}
    )
    case.call_and_validate(base_url=service.url, checks=CHECKS, timeout=10)
