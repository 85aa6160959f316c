"""What an endpoint's settings allow a model is shared by all who ingest, through the database."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragindex_api.settings import EndpointEnvironment
from ragindex_db import budgets
from ragindex_providers.settings import ProviderSettings
from ragindex_worker.embedders import Embedders


def open_model(engine: Any, **limits: Any) -> None:
    endpoint = EndpointEnvironment(base_url="http://127.0.0.1:9/v1", **limits).endpoint("only")
    settings = ProviderSettings(models_dir=engine.scratch, endpoints={"only": endpoint})
    embedders = Embedders(engine.database, settings)
    embedders.of(engine.kept[0], engine.wanted.spec)
    embedders.close()


def take(engine: Any, tokens: int) -> float:
    return float(engine.database.run(budgets.take, "OpenAI", "words", tokens))


def test_tokens_a_minute_are_those_of_the_endpoint(engine: Any) -> None:
    engine.reconcile()
    open_model(engine, tokens_per_minute=600)
    assert take(engine, 600) == 0
    assert 20 < take(engine, 300) <= 30


def test_requests_a_minute_are_those_of_the_endpoint(engine: Any) -> None:
    engine.reconcile()
    open_model(engine, requests_per_minute=2)
    assert [take(engine, 1), take(engine, 1)] == [0, 0]
    assert take(engine, 1) > 0


def test_a_limit_that_is_taken_out_of_the_settings_is_gone(engine: Any) -> None:
    engine.reconcile()
    open_model(engine, tokens_per_minute=1)
    assert take(engine, 1) == 0
    assert take(engine, 1) > 0
    open_model(engine)
    assert take(engine, 1_000_000) == 0


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="tokens_per_minute"):
        EndpointEnvironment(base_url="http://127.0.0.1:9/v1", tokens_per_minute=-1)
