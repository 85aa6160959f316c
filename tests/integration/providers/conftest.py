"""An OpenAI-compatible service on the loopback address, and what talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragindex_providers.settings import Endpoint, Secret, Timeouts
from ragindex_providers.testing.openai_server import FakeOpenAIServer

KEY = "sk-not-to-be-seen"


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer() as server:
        yield server


@pytest.fixture
def endpoint(server: FakeOpenAIServer) -> Endpoint:
    return Endpoint(
        "main",
        server.base_url,
        api_key=Secret(KEY),
        timeouts=Timeouts(connect_seconds=2, read_seconds=0.3, total_seconds=1),
        max_batch=8,
    )
