"""What the person who started it reads."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from ragindex_core.errors import FieldProblem
from ragindex_core.object.resource import RagIndex, parse
from ragindex_core.reconcile.observed import IndexRow, Observed, Revision, RevisionState
from ragindex_core.reconcile.status import status_of
from ragindex_local.progress import Progress
from ragindex_operator.reconcile import Outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _index(dimensions: int = 384) -> RagIndex:
    embedding = {"provider": "Local", "model": "all-minilm-l6-v2", "dimensions": dimensions}
    spec: dict[str, Any] = {"embedding": embedding, "sources": [{"name": "uploads", "uploads": {}}]}
    kind = {"apiVersion": "ragindex.io/v1alpha1", "kind": "RagIndex"}
    return parse({**kind, "metadata": {"name": "notes", "uid": "77aa", "generation": 1}, "spec": spec}, "test")


def _said(index: RagIndex, *observed: Observed) -> str:
    out = io.StringIO()
    progress = Progress(out)
    for each in observed:
        progress.report(index, Outcome(each, status_of(index, each, None, NOW), None))
    return out.getvalue()


def test_a_bar_is_not_drawn_again_below_the_last_line() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    filling = Observed(
        index=IndexRow(1, "default", serving=1),
        revisions=(Revision(1, "k", {}, RevisionState.BUILDING, tables_ready=True),),
    )
    out = Terminal()
    progress = Progress(out)
    index = _index()
    progress.report(index, Outcome(filling, status_of(index, filling, None, NOW), None))
    assert "[" in out.getvalue()
    progress.end("stopped")
    assert out.getvalue().endswith("stopped\n")


def test_what_keeps_a_spec_from_force_is_said_once() -> None:
    said = _said(_index(dimensions=100), Observed(), Observed())
    assert said.count("default/notes: not in force (InvalidSpec): spec.embedding.dimensions") == 1
    refusal = FieldProblem("spec.embedding.provider", "Bedrock is not available in this installation")
    assert "not in force (NotAllowed): spec.embedding.provider: Bedrock" in _said(
        _index(), Observed(refusals=(refusal,))
    )


def test_a_model_that_cannot_be_used_is_said_once_until_it_can() -> None:
    revision = Revision(1, "k", {}, RevisionState.BUILDING, tables_ready=True)
    well = Observed(index=IndexRow(1, "default", serving=1), revisions=(revision,))
    ill = Observed(index=well.index, revisions=well.revisions, provider_trouble="there is no endpoint cloud")
    said = _said(_index(), well, ill, ill, well, ill)
    assert said.count("default/notes: ProviderUnavailable: there is no endpoint cloud") == 2
