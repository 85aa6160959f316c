"""The embedder for OpenAI-compatible services, against one that misbehaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.contracts.embedder import EmbedderContract
from tests.integration.providers.conftest import KEY

from ragindex_core.errors import ProviderRefused, RagIndexError, Throttled, Unavailable
from ragindex_core.ports import Embedder, InputType
from ragindex_providers.openai.embeddings import OpenAIEmbedder
from ragindex_providers.retry import Retrier, RetryPolicy
from ragindex_providers.settings import Endpoint
from ragindex_providers.testing.openai_server import REFUSED_WORD, FakeOpenAIServer, Fault

TEXTS = [f"text number {n} about leave" for n in range(5)]


class Waits:
    """Waits for nothing, and remembers how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def embedder(endpoint: Endpoint, waits: Waits) -> Iterator[OpenAIEmbedder]:
    retrier = Retrier(RetryPolicy(attempts=3), waiter=waits, uniform=lambda: 0.5)
    opened = OpenAIEmbedder(endpoint, "words", 64, retrier=retrier)
    yield opened
    opened.close()


class TestOpenAIEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, endpoint: Endpoint) -> Iterator[Embedder]:
        opened = OpenAIEmbedder(endpoint, "words", 64)
        yield opened
        opened.close()


def ask(embedder: Embedder, texts: list[str] = TEXTS) -> Any:
    return embedder.embed(texts, InputType.PASSAGE)


def test_it_sends_what_was_set_and_no_more(embedder: Embedder, server: FakeOpenAIServer) -> None:
    ask(embedder, ["one"])
    (request,) = server.requests
    assert request.path == "/v1/embeddings"
    assert request.body == {"model": "words", "input": ["one"], "encoding_format": "base64"}
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_texts_go_in_batches(embedder: Embedder, server: FakeOpenAIServer) -> None:
    ask(embedder, ["x"] * 20)
    assert [len(request.body["input"]) for request in server.requests] == [8, 8, 4]


def test_a_service_that_ignores_the_wish_for_base64_is_understood(embedder: Embedder, server: FakeOpenAIServer) -> None:
    packed = ask(embedder)
    server.faults.append(Fault(floats=True))
    assert np.allclose(ask(embedder).vectors, packed.vectors)


def test_tokens_are_the_services_own_count(embedder: Embedder) -> None:
    assert ask(embedder).tokens == sum(len(text.split()) for text in TEXTS)


def test_other_dimensions_than_the_models_own_are_asked_for_once_they_are_needed(
    endpoint: Endpoint, server: FakeOpenAIServer
) -> None:
    embedder = OpenAIEmbedder(endpoint, "words", 32)
    assert ask(embedder).vectors.shape == (5, 32)
    ask(embedder)
    assert [request.body.get("dimensions") for request in server.requests] == [None, 32, 32]
    embedder.close()


def test_several_threads_may_find_that_out_at_once(endpoint: Endpoint, server: FakeOpenAIServer) -> None:
    server.always(Fault(delay_seconds=0.05))
    embedder = OpenAIEmbedder(endpoint, "words", 32)
    with ThreadPoolExecutor(4) as pool:
        shapes = list(pool.map(lambda _: ask(embedder).vectors.shape, range(4)))
    assert shapes == [(5, 32)] * 4
    embedder.close()


RECOVERS: list[Any] = [
    pytest.param(Fault(status=429, retry_after="2"), [2.25], id="throttled, with a time to come back"),
    pytest.param(Fault(status=429), [0.25], id="throttled, without one"),
    pytest.param(Fault(status=500), [0.25], id="an internal error"),
    pytest.param(Fault(status=503, retry_after="0"), [0.25], id="overloaded"),
    pytest.param(Fault(half_body=True), [0.25], id="half an answer"),
    pytest.param(Fault(raw_body=b"<html>"), [0.25], id="no JSON"),
    pytest.param(Fault(raw_body=b'{"data": 3}'), [0.25], id="JSON of another kind"),
    pytest.param(Fault(raw_body=b"[]"), [0.25], id="a list"),
    pytest.param(Fault(missing_vectors=1), [0.25], id="a vector too few"),
    pytest.param(Fault(not_a_number=True), [0.25], id="not a number"),
    pytest.param(Fault(never_answers=True), [0.25], id="silence"),
]


@pytest.mark.parametrize(("fault", "waited"), RECOVERS)
def test_what_passes_is_tried_again(
    embedder: Embedder, server: FakeOpenAIServer, waits: Waits, fault: Fault, waited: list[float]
) -> None:
    server.faults.append(fault)
    assert np.allclose(ask(embedder).vectors, ask(embedder).vectors)
    assert waits.seconds == waited
    assert len(server.requests) == 3


LASTS: list[Any] = [
    pytest.param(Fault(status=429, retry_after="4"), Throttled, 3, id="throttled"),
    pytest.param(Fault(status=429, retry_after="3600"), Throttled, 1, id="throttled for longer than a call may wait"),
    pytest.param(Fault(status=502), Unavailable, 3, id="a bad gateway"),
    pytest.param(Fault(not_a_number=True), Unavailable, 3, id="not a number"),
    pytest.param(Fault(missing_vectors=5), Unavailable, 3, id="no vectors"),
    pytest.param(Fault(delay_seconds=0.6), Unavailable, 3, id="too slow"),
    pytest.param(Fault(status=401), ProviderRefused, 1, id="a wrong key"),
    pytest.param(Fault(status=404), ProviderRefused, 1, id="a wrong model"),
    pytest.param(Fault(status=307), ProviderRefused, 1, id="a redirect"),
    pytest.param(Fault(dimensions=63), ProviderRefused, 2, id="dimensions that are not the index's"),
    pytest.param(Fault(status=400), ProviderRefused, 2, id="everything refused"),
]


@pytest.mark.parametrize(("fault", "kind", "requests"), LASTS)
def test_what_lasts_is_told_apart(
    embedder: Embedder, server: FakeOpenAIServer, fault: Fault, kind: type[RagIndexError], requests: int
) -> None:
    server.always(replace(fault, message=f"no way, {KEY}: {TEXTS[0]}"))
    with pytest.raises(kind) as caught:
        ask(embedder)
    assert type(caught.value) is kind
    assert len(server.requests) == requests
    assert "endpoint main, model words" in str(caught.value)
    assert KEY not in str(caught.value)
    assert "leave" not in str(caught.value)


def test_a_throttled_call_tells_when_to_come_back(embedder: Embedder, server: FakeOpenAIServer) -> None:
    server.always(Fault(status=429, retry_after="7"))
    with pytest.raises(Throttled) as caught:
        ask(embedder)
    assert caught.value.retry_after_seconds == 7


def test_one_refused_text_does_not_cost_the_others(embedder: Embedder, server: FakeOpenAIServer) -> None:
    texts = [f"text {n}" for n in range(8)]
    texts[5] += f" {REFUSED_WORD}"
    result = ask(embedder, texts)
    assert set(result.refused) == {5}
    assert "400" in result.refused[5]
    assert not result.vectors[5].any()
    assert np.allclose(np.linalg.norm(np.delete(result.vectors, 5, axis=0), axis=1), 1, atol=1e-5)
    assert len(server.requests) <= 8


def test_a_single_refused_text_is_told_from_a_service_that_refuses_all(embedder: Embedder) -> None:
    assert set(ask(embedder, [f"one {REFUSED_WORD}"]).refused) == {0}


def test_a_batch_too_large_for_the_service_goes_in_parts(endpoint: Endpoint) -> None:
    with FakeOpenAIServer(max_batch=2) as small:
        embedder = OpenAIEmbedder(replace(endpoint, base_url=small.base_url), "words", 64)
        assert ask(embedder).refused == {}
        embedder.close()


def test_no_service_at_all_is_unavailable(endpoint: Endpoint, waits: Waits) -> None:
    gone = replace(endpoint, base_url="http://127.0.0.1:9/v1")
    embedder = OpenAIEmbedder(gone, "words", 64, retrier=Retrier(RetryPolicy(attempts=2), waiter=waits))
    with pytest.raises(Unavailable):
        ask(embedder)
    embedder.close()


def test_closing_wakes_whoever_waits_for_the_next_attempt(endpoint: Endpoint, server: FakeOpenAIServer) -> None:
    server.always(Fault(status=429, retry_after="50"))
    embedder = OpenAIEmbedder(endpoint, "words", 64)
    failed = threading.Event()

    def call() -> None:
        try:
            ask(embedder)
        except Unavailable:
            failed.set()

    caller = threading.Thread(target=call)
    caller.start()
    while not server.requests:
        caller.join(0.01)
    embedder.close()
    caller.join(5)
    assert failed.is_set()
