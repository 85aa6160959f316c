"""What holds for the chunks of any document, by any strategy, with any tokenizer: other alphabets, endless words, blank
blocks and headings, tables, transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragindex_core.chunking import ChunkingRules, ChunkingStrategy, EstimatingTokenizer, chunk
from ragindex_core.document import Block, BlockKind, Location, ParsedDocument, Span
from ragindex_core.ports import Tokenizer, TokenSpan
from ragindex_core.testing.tokenizer import FakeTokenizer

WORDS = st.one_of(
    st.sampled_from(
        [
            "leave",
            "Dr.",
            "is",
            "3.5",
            "The",
            "end.",
            "Really?",
            "No!",
            "语言模型。",
            "東京タワー",
            "Grüße",
            "é",
            "👩‍👩‍👧",
            "한국어",
        ]
    ),
    st.text(min_size=1, max_size=12),
    st.integers(60, 600).map(lambda n: "x" * n),
    st.integers(20, 200).map(lambda n: "é" * n),
)
PROSE = st.lists(WORDS, max_size=40).map(" ".join)
ROWS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map("\t".join), min_size=1, max_size=12).map("\n".join)


@st.composite
def locations(draw: st.DrawFn, ordinal: int) -> Location:
    kind = draw(st.sampled_from(["none", "page", "sheet", "speech"]))
    if kind == "page":
        return Location(page=1 + ordinal // 2)
    if kind == "sheet":
        return Location(sheet=draw(st.sampled_from(["A", "B"])), cells=f"A{ordinal + 1}:C{ordinal + 5}")
    if kind == "speech":
        return Location(
            start_ms=ordinal * 1000, end_ms=ordinal * 1000 + 900, speaker=draw(st.sampled_from([None, "Ann", "Bo"]))
        )
    return Location()


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    """Blocks with white space between them; some are blank, as a careless parser might leave them."""
    text = draw(st.sampled_from(["", "\n", "  \n"]))
    blocks: list[Block] = []
    for ordinal in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(BlockKind))
        body = _clean(draw(ROWS if kind in (BlockKind.TABLE, BlockKind.CODE) else PROSE))
        span = Span(len(text), len(text) + len(body))
        header = None
        if kind is BlockKind.TABLE and draw(st.booleans()):
            header = Span(span.start, span.start + len(body.split("\n", 1)[0]))
        level = draw(st.integers(1, 4)) if kind is BlockKind.HEADING else 0
        blocks.append(Block(kind, span, level, draw(locations(ordinal)), header))
        text += body + draw(st.sampled_from(["\n", "\n\n", " "]))
    if not text.strip():
        blocks.append(Block(BlockKind.PARAGRAPH, Span(len(text), len(text) + 1)))
        text += "x"
    return ParsedDocument(text, tuple(blocks), title=draw(st.one_of(st.none(), PROSE)))


def _clean(text: str) -> str:
    """What a parser guarantees: no NUL, no lone surrogate, only one kind of line break."""
    return "".join(c for c in text.replace("\r", "\n") if c != "\x00" and not "\ud800" <= c <= "\udfff")


class ShiftingTokenizer:
    """The whole has other tokens than its parts: pieces begin where the text does, and line breaks count."""

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        return [[(i, min(i + 5, len(text))) for i in range(0, len(text), 5)] for text in texts]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(spans) for spans in self.token_spans(texts)]


class ThriftyTokenizer(ShiftingTokenizer):
    """A long text has fewer tokens than its parts have by themselves."""

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        steps = [10 if len(text) > 100 else 2 for text in texts]
        return [
            [(i, min(i + step, len(text))) for i in range(0, len(text), step)]
            for text, step in zip(texts, steps, strict=True)
        ]


class ByteTokenizer:
    """One token a byte, so that one character may be four tokens with the same span."""

    def token_spans(self, texts: Sequence[str]) -> list[list[TokenSpan]]:
        return [[(i, i + 1) for i, c in enumerate(text) for _ in c.encode()] for text in texts]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.encode()) for text in texts]


tokenizers = st.sampled_from([FakeTokenizer(), ShiftingTokenizer(), ByteTokenizer(), EstimatingTokenizer()])
rules = st.builds(
    ChunkingRules,
    strategy=st.sampled_from(ChunkingStrategy),
    max_tokens=st.one_of(st.integers(8, 40), st.integers(41, 400)),
    overlap_tokens=st.integers(0, 60),
)
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(documents(), rules, tokenizers)
def test_a_span_gives_exactly_the_text_which_is_never_blank(
    document: ParsedDocument, how: ChunkingRules, tokenizer: Tokenizer
) -> None:
    chunks = chunk(document, how, tokenizer)
    assert chunks
    for position, each in enumerate(chunks):
        assert each.ordinal == position
        assert document.text[each.span.start : each.span.end] == each.text
        assert each.text.strip() == each.text != ""


@thorough
@given(documents(), rules, tokenizers)
def test_nothing_embedded_is_above_the_limit_and_tokens_are_the_true_number(
    document: ParsedDocument, how: ChunkingRules, tokenizer: Tokenizer
) -> None:
    for each in chunk(document, how, tokenizer):
        assert each.tokens == len(tokenizer.token_spans([each.embedded_text])[0])
        if each.searchable:
            assert each.tokens <= how.max_tokens


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_what_is_longer_by_itself_than_within_the_whole_is_cut_again(strategy: ChunkingStrategy) -> None:
    text = "One sentence. And another one here. " * 40
    document = ParsedDocument(text, (Block(BlockKind.PARAGRAPH, Span(0, len(text))),))
    chunks = chunk(document, ChunkingRules(strategy, max_tokens=10), ThriftyTokenizer())
    assert max(each.tokens for each in chunks if each.searchable) <= 10


@thorough
@given(documents(), rules, tokenizers)
def test_all_that_is_not_white_space_can_be_found(
    document: ParsedDocument, how: ChunkingRules, tokenizer: Tokenizer
) -> None:
    covered = bytearray(len(document.text))
    for each in chunk(document, how, tokenizer):
        if each.searchable:
            covered[each.span.start : each.span.end] = b"x" * len(each.span)
    if how.strategy is ChunkingStrategy.HIERARCHICAL:
        for block in document.blocks:
            if block.kind is BlockKind.HEADING:
                covered[block.span.start : block.span.end] = b"x" * len(block.span)
    missing = [c for c, seen in zip(document.text, covered, strict=True) if not seen and not c.isspace()]
    assert missing == []


@thorough
@given(documents(), rules, tokenizers)
def test_chunks_are_in_order_and_none_lies_in_its_predecessor(
    document: ParsedDocument, how: ChunkingRules, tokenizer: Tokenizer
) -> None:
    leaves = [each for each in chunk(document, how, tokenizer) if each.searchable]
    for before, after in pairwise(leaves):
        assert before.span.start < after.span.start
        assert before.span.end < after.span.end
        if how.strategy in (ChunkingStrategy.NONE, ChunkingStrategy.HIERARCHICAL) or how.overlap_tokens == 0:
            assert before.span.end <= after.span.start


@thorough
@given(documents(), rules, tokenizers)
def test_a_location_is_that_of_the_blocks_the_chunk_lies_in(
    document: ParsedDocument, how: ChunkingRules, tokenizer: Tokenizer
) -> None:
    for each in chunk(document, how, tokenizer):
        places = [block.location for block in document.blocks if block.span.overlaps(each.span)]
        pages = [place.page for place in places if place.page is not None]
        assert each.location.page == min(pages, default=None)
        assert each.location.page_end == max(pages, default=None)
        assert each.location.start_ms == min((p.start_ms for p in places if p.start_ms is not None), default=None)
        assert each.location.end_ms == max((p.end_ms for p in places if p.end_ms is not None), default=None)
        assert {each.location.speaker} == {
            p.speaker for p in places if p.start_ms is not None
        } or each.location.speaker is None


@thorough
@given(documents(), st.integers(8, 300), tokenizers)
def test_hierarchical_chunks_lie_in_their_parents_and_those_in_their_sections(
    document: ParsedDocument, max_tokens: int, tokenizer: Tokenizer
) -> None:
    chunks = chunk(document, ChunkingRules(ChunkingStrategy.HIERARCHICAL, max_tokens), tokenizer)
    for each in chunks:
        if each.level == 1:
            assert (each.parent, each.section, each.searchable) == (None, None, False)
            continue
        assert each.parent is not None
        assert each.section is not None
        parent, section = chunks[each.parent], chunks[each.section]
        assert section.level == 1
        assert parent.level < each.level
        assert parent.ordinal < each.ordinal
        for outer in (parent, section):
            assert outer.span.start <= each.span.start
            assert each.span.end <= outer.span.end


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_the_same_document_gives_the_same_chunks(strategy: ChunkingStrategy) -> None:
    text = "One sentence. And another one here. " * 40
    document = ParsedDocument(text, (Block(BlockKind.PARAGRAPH, Span(0, len(text))),), title="Title")
    how = ChunkingRules(strategy, 50, 10)
    assert chunk(document, how, FakeTokenizer()) == chunk(document, how, FakeTokenizer())
