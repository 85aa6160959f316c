"""From the choices of an object and the platform's settings to providers, and who is told when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragindex_core.errors import InvalidInput, Misconfigured
from ragindex_providers.embedders import EmbeddingChoice, open_embedder
from ragindex_providers.routes import GenerationChoice, open_generator
from ragindex_providers.settings import Endpoint, ProviderSettings, Secret

ONE = {"main": Endpoint("main", "http://localhost:1/v1")}
TWO = {**ONE, "other": Endpoint("other", "http://localhost:2/v1")}


@pytest.mark.parametrize(
    ("choice", "endpoints", "field"),
    [
        pytest.param(GenerationChoice("Claude", "x"), ONE, "routes[0].provider", id="a provider nobody knows"),
        pytest.param(GenerationChoice("OpenAI", "x", "gone"), ONE, "endpoint", id="an endpoint nobody knows"),
        pytest.param(GenerationChoice("OpenAI", "x"), TWO, "endpoint", id="one endpoint of two"),
    ],
)
def test_a_route_that_cannot_be_opened_names_its_field(
    choice: GenerationChoice, endpoints: dict[str, Endpoint], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_generator([choice], ProviderSettings(Path("models"), endpoints))
    assert [problem.field for problem in caught.value.problems] == [field]


def test_the_only_endpoint_needs_no_name() -> None:
    generator = open_generator([GenerationChoice("OpenAI", "small")], ProviderSettings(Path("models"), ONE))
    assert generator.name == "OpenAI/small"


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (EmbeddingChoice("Word2Vec", "x", 3), "provider"),
        (EmbeddingChoice("Local", "no-such-model", 384), "model"),
        (EmbeddingChoice("OpenAI", "x", 3, endpoint="gone"), "endpoint"),
    ],
)
def test_an_embedding_that_cannot_be_had_names_its_field(choice: EmbeddingChoice, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_embedder(choice, ProviderSettings(Path("models"), ONE))
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("url", ["localhost:80", "ftp://host/v1", "http://", "http://[::1"])
def test_an_address_that_no_request_can_use_is_the_platforms_fault(url: str) -> None:
    settings = ProviderSettings(Path("models"), {"main": Endpoint("main", url)})
    with pytest.raises(Misconfigured, match="main"):
        open_embedder(EmbeddingChoice("OpenAI", "x", 3), settings)


def test_a_certificate_file_that_is_not_there_is_the_platforms_fault(tmp_path: Path) -> None:
    endpoint = Endpoint("main", "https://localhost/v1", ca_file=tmp_path / "gone.pem")
    with pytest.raises(Misconfigured, match="main"):
        open_embedder(EmbeddingChoice("OpenAI", "x", 3), ProviderSettings(Path("models"), {"main": endpoint}))


def test_no_key_shows_in_what_a_setting_looks_like() -> None:
    endpoint = Endpoint("main", "http://localhost", api_key=Secret("sk-123"))
    assert "sk-123" not in f"{endpoint!r} {endpoint.api_key} {endpoint.api_key!r}"
    assert endpoint.api_key is not None
    assert endpoint.api_key.reveal() == "sk-123"
