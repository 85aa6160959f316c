"""The fakes pass the contract suites of their ports, and fail as they are told to."""

from __future__ import annotations

import asyncio
import io

import pytest
from tests.contracts.embedder import EmbedderContract
from tests.contracts.generator import REQUEST, WORDS, GeneratorContract, MakeGenerator, everything, said
from tests.contracts.source import SourceContract, Writer

from ragindex_core.document import DocumentReason
from ragindex_core.errors import DocumentRejected, Throttled, Unavailable
from ragindex_core.ports import Embedder, InputType, Source, TextDelta
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_core.testing.generator import Reply, ScriptedGenerator
from ragindex_core.testing.source import FakeSource


class TestHashEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashEmbedder()


class TestScriptedGenerator(GeneratorContract):
    @pytest.fixture
    def generators(self) -> MakeGenerator:
        return lambda: ScriptedGenerator([Reply(WORDS), Reply(WORDS)])


class TestFakeSource(SourceContract):
    @pytest.fixture
    def writer(self) -> Writer:
        return FakeSource()

    @pytest.fixture
    def source(self, writer: FakeSource) -> Source:
        return writer


def test_scripted_failures_of_an_embedder_are_taken_one_a_call() -> None:
    embedder = HashEmbedder(failures=[Throttled("full", 3), None])
    with pytest.raises(Throttled):
        embedder.embed(["a"], InputType.QUERY)
    embedder.embed(["b"], InputType.PASSAGE)
    embedder.embed(["c"], InputType.PASSAGE)
    assert [texts for texts, _ in embedder.calls] == [("a",), ("b",), ("c",)]


def test_a_refused_text_has_a_reason_and_a_row_of_zeros() -> None:
    embedder = HashEmbedder(refuses=lambda text: "forbidden" if "bad" in text else None)
    result = embedder.embed(["good", "bad"], InputType.PASSAGE)
    assert result.refused == {1: "forbidden"}
    assert not result.vectors[1].any()
    assert result.vectors[0].any()


def test_a_script_waits_and_fails_where_it_says() -> None:
    async def scenario() -> None:
        released = asyncio.Event()
        generator = ScriptedGenerator([Reply(["one ", released.wait, Unavailable("gone")]), "two"])
        stream = generator.stream(REQUEST)
        assert await anext(stream) == TextDelta("one ")
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.wait([waiting], timeout=0.01)
        assert not waiting.done()
        released.set()
        with pytest.raises(Unavailable, match="gone"):
            await waiting
        assert said(await everything(generator)) == "two"
        assert len(generator.requests) == 2

    asyncio.run(scenario())


def test_a_source_may_break_off_its_listing_and_withhold_or_change_an_object() -> None:
    source = FakeSource({"a": b"1", "b": b"2", "c": b"3"})
    source.fail_after = 1
    with pytest.raises(Unavailable):
        list(source.list())
    source.unreadable.add("a")
    source.changing.add("b")
    for key, reason in (("a", DocumentReason.UNREADABLE), ("b", DocumentReason.CHANGED)):
        with pytest.raises(DocumentRejected) as caught:
            source.fetch(key, io.BytesIO(), 10)
        assert caught.value.reason is reason
