"""What goes wrong without an end is told in the status, as are specs that are not put in force."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.integration.engine.conftest import Engine

from ragindex_core.document import DocumentReason
from ragindex_db import queue

TOO_FEW = {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": 100}


def _condition(engine: Engine, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in engine.row.status["conditions"] if c["type"] == kind)
    return found


def test_a_model_that_cannot_be_used_degrades_until_it_can(engine: Engine) -> None:
    engine.write("a.md", "# A\n\nThe crane is red.\n")
    engine.settle()
    engine.write("a.md", "# A\n\nThe crane is blue.\n")
    engine.ask("sync", "again")
    engine.reconcile()
    engine.sync_only()
    for claim in engine.database.run(queue.claim, queue.new_owner(), 8):
        why = "there is no endpoint cloud"
        engine.database.run(queue.failed, claim, DocumentReason.EMBEDDING_FAILED, why, timedelta(hours=1))
    engine.reconcile()
    degraded = _condition(engine, "Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "ProviderUnavailable")
    assert "there is no endpoint cloud" in degraded["message"]
    assert engine.condition("Ready") == ("True", "Serving")
    engine.ask("retry-failed", "mended")
    engine.settle()
    assert engine.condition("Degraded") == ("False", "Healthy")


@pytest.mark.parametrize(
    ("spec", "reason", "field"),
    [
        ({"embedding": TOO_FEW}, "InvalidSpec", "spec.embedding.dimensions"),
        ({"sources": [{"name": "c", "configMap": {"name": "notes"}}]}, "NotAllowed", "spec.sources[0]"),
    ],
)
def test_a_new_object_that_cannot_work_is_in_the_catalogue_with_the_reason(
    engine: Engine, spec: dict[str, Any], reason: str, field: str
) -> None:
    engine.edit(**spec)
    engine.reconcile()
    stalled = _condition(engine, "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", reason)
    assert field in stalled["message"]
    assert engine.kept == []
    assert engine.row.status["observedGeneration"] == engine.row.generation == 2


def test_an_edit_that_cannot_work_is_told_beside_the_spec_in_force(engine: Engine) -> None:
    engine.write("a.md", "# A\n\nThe crane is red.\n")
    engine.settle()
    engine.edit(embedding=TOO_FEW)
    engine.reconcile()
    assert engine.condition("Stalled") == ("True", "InvalidSpec")
    assert engine.condition("Ready") == ("True", "Serving")
    assert engine.row.generation == 1
    assert engine.row.status["observedGeneration"] == 1
    assert {c["observedGeneration"] for c in engine.row.status["conditions"]} == {1}
