"""How Structural and Hierarchical follow a document's own order, table by table and cue by cue."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ragindex_core.chunking import ChunkingRules, ChunkingStrategy, chunk, clamped
from ragindex_core.document import Block, BlockKind, Chunk, Location, ParsedDocument, Span
from ragindex_core.testing.tokenizer import FakeTokenizer


def document(
    *parts: tuple[BlockKind, str] | tuple[BlockKind, str, int | Location], title: str | None = None
) -> ParsedDocument:
    """Blocks with a blank line between them; the third of a part is a heading's level or the block's location."""
    text = ""
    blocks: list[Block] = []
    for kind, body, *extra in parts:
        span = Span(len(text), len(text) + len(body))
        level = next((each for each in extra if isinstance(each, int)), 0)
        place = next((each for each in extra if isinstance(each, Location)), Location())
        header = Span(span.start, span.start + body.index("\n")) if kind is BlockKind.TABLE else None
        blocks.append(Block(kind, span, level, place, header))
        text += body + "\n\n"
    return ParsedDocument(text, tuple(blocks), title=title)


def structural(parsed: ParsedDocument, max_tokens: int = 40, overlap_tokens: int = 0) -> list[Chunk]:
    return chunk(parsed, ChunkingRules(ChunkingStrategy.STRUCTURAL, max_tokens, overlap_tokens), FakeTokenizer())


def hierarchical(parsed: ParsedDocument, max_tokens: int = 40) -> list[Chunk]:
    return chunk(parsed, ChunkingRules(ChunkingStrategy.HIERARCHICAL, max_tokens), FakeTokenizer())


HEADING, PARAGRAPH, TABLE = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.TABLE
TEN = "Ten words are in this line and here is it."


def test_no_chunk_reaches_from_one_section_into_another() -> None:
    chunks = structural(document((HEADING, "Leave", 1), (PARAGRAPH, TEN), (HEADING, "Pay", 1), (PARAGRAPH, TEN)))
    assert [(c.headings, c.text) for c in chunks] == [
        (("Leave",), f"Leave\n\n{TEN}"),
        (("Pay",), f"Pay\n\n{TEN}"),
    ]


def test_small_blocks_of_a_section_are_one_chunk() -> None:
    chunks = structural(document((PARAGRAPH, TEN), (BlockKind.LIST_ITEM, "- one"), (PARAGRAPH, TEN)))
    assert len(chunks) == 1


def test_context_is_the_title_and_the_headings_that_the_text_does_not_show() -> None:
    parsed = document(
        (HEADING, "Leave", 1), (HEADING, "Parents", 2), (PARAGRAPH, " ".join([TEN] * 6)), title="Handbook of the house"
    )
    first, second, *_ = structural(parsed, max_tokens=60)
    assert (first.context, first.headings) == ("Handbook of the house", ("Leave", "Parents"))
    assert first.text.startswith("Leave\n\nParents\n\nTen words")
    assert (second.context, second.headings) == ("Handbook of the house > Leave > Parents", ("Leave", "Parents"))


def test_a_title_that_is_also_the_first_heading_is_said_once() -> None:
    parsed = document((HEADING, "LEAVE", 1), (PARAGRAPH, " ".join([TEN] * 9)), title="Leave")
    first, *_, last = structural(parsed)
    assert (first.context, first.text[:5]) == ("", "LEAVE")
    assert last.context == "Leave"


def test_long_headings_leave_three_quarters_to_the_text() -> None:
    parsed = document((HEADING, "word " * 50, 1), (HEADING, "Pay", 2), (PARAGRAPH, TEN * 20), title="title " * 50)
    for each in structural(parsed)[2:]:
        assert len(FakeTokenizer().token_spans([each.context])[0]) <= 10
        assert "Pay" in each.context


def test_a_deeper_heading_ends_with_the_next_one_above_it() -> None:
    parsed = document(
        (HEADING, "A", 1), (PARAGRAPH, "x"), (HEADING, "A1", 2), (PARAGRAPH, "y"), (HEADING, "B", 1), (PARAGRAPH, "z")
    )
    assert [c.headings for c in structural(parsed)] == [("A",), ("A", "A1"), ("B",)]


def test_a_long_paragraph_is_cut_between_sentences_and_has_no_tiny_tail() -> None:
    chunks = structural(document((PARAGRAPH, " ".join([TEN] * 7))), max_tokens=40)
    assert all(c.text.startswith("Ten") and c.text.endswith("it.") for c in chunks)
    assert min(c.tokens for c in chunks) >= 10


def test_overlap_repeats_whole_sentences_within_the_section_alone() -> None:
    many = " ".join(f"Sentence number {n} has seven words." for n in range(12))
    parsed = document((HEADING, "A", 1), (PARAGRAPH, many), (HEADING, "B", 1), (PARAGRAPH, many))
    chunks = structural(parsed, max_tokens=40, overlap_tokens=10)
    for before, after in pairwise(chunks):
        if before.headings == after.headings:
            repeated = parsed.text[after.span.start : before.span.end]
            assert repeated.startswith("Sentence")
            assert 0 < len(FakeTokenizer().token_spans([repeated])[0]) <= 10
        else:
            assert before.span.end <= after.span.start


def test_a_long_table_is_cut_between_rows_and_its_header_is_context_of_the_later_parts() -> None:
    rows = "\n".join(f"{n} | Name{n} | {n * 3}" for n in range(1, 30))
    parsed = document((HEADING, "Staff", 1), (TABLE, f"No | Name | Age\n{rows}", Location(sheet="S", cells="A1:C30")))
    first, *others = structural(parsed)
    assert first.text.startswith("Staff\n\nNo | Name | Age\n1 | Name1")
    assert first.location.cells is not None
    assert first.location.cells.startswith("A1:C")
    assert len(others) > 2
    next_row = int(first.location.cells.split("C")[1]) + 1
    for each in others:
        assert each.context == "Staff\nNo | Name | Age"
        assert "Age" not in each.text
        lines = each.text.split("\n")
        assert all(line.count("|") == 2 for line in lines)
        assert each.location.cells == f"A{next_row}:C{next_row + len(lines) - 1}"
        next_row += len(lines)


def test_a_small_table_stays_whole_among_its_paragraphs() -> None:
    table = "No | Name\n1 | Ann\n2 | Bo"
    (only,) = structural(document((PARAGRAPH, TEN), (TABLE, table), (PARAGRAPH, "End.")))
    assert table in only.text


def test_a_chunk_over_pages_tells_the_first_and_the_last() -> None:
    parsed = document(*((PARAGRAPH, "Short.", Location(page=page)) for page in (3, 4, 5)))
    (only,) = structural(parsed)
    assert (only.location.page, only.location.page_end) == (3, 5)


def test_a_chunk_that_is_full_enough_ends_with_its_page() -> None:
    half = " ".join([TEN] * 3)
    parsed = document((PARAGRAPH, half, Location(page=1)), (PARAGRAPH, half, Location(page=2)))
    assert [(c.location.page, c.location.page_end) for c in structural(parsed, max_tokens=50)] == [(1, 1), (2, 2)]


def test_cues_of_a_transcript_join_with_first_start_last_end_and_the_speaker_they_share() -> None:
    def cue(n: int, speaker: str) -> tuple[BlockKind, str, Location]:
        place = Location(start_ms=n * 1000, end_ms=n * 1000 + 900, speaker=speaker)
        return BlockKind.SPEECH, f"Cue {n} says a few words.", place

    (one,) = structural(document(cue(1, "Ann"), cue(2, "Ann"), cue(3, "Ann")))
    assert one.location == Location(start_ms=1000, end_ms=3900, speaker="Ann")
    (two,) = structural(document(cue(1, "Ann"), cue(2, "Bo")))
    assert two.location == Location(start_ms=1000, end_ms=2900)


def test_sheets_of_a_workbook_do_not_mix() -> None:
    parsed = document(
        (TABLE, "No | Name\n1 | Ann", Location(sheet="One", cells="A1:B2")),
        (TABLE, "No | Name\n1 | Bo", Location(sheet="Two", cells="A1:B2")),
    )
    assert [c.location.sheet for c in structural(parsed)] == ["One", "Two"]


def test_hierarchical_finds_sentences_once_and_returns_their_section() -> None:
    parsed = document(
        (HEADING, "Leave", 1),
        (
            PARAGRAPH,
            "Every employee has thirty days of annual leave in a year. It must be asked for two weeks before.",
        ),
        (PARAGRAPH, "One sentence stands here all by itself."),
        title="Handbook",
    )
    chunks = hierarchical(parsed, 60)
    assert [(c.level, c.searchable, c.parent, c.section) for c in chunks] == [
        (1, False, None, None),
        (2, False, 0, 0),
        (3, True, 1, 0),
        (3, True, 1, 0),
        (2, True, 0, 0),
    ]
    assert chunks[0].text.startswith("Leave\n\nEvery")
    assert {c.context for c in chunks[1:]} == {"Handbook > Leave"}


def test_hierarchical_joins_a_short_sentence_to_its_neighbour() -> None:
    parsed = document((PARAGRAPH, f"Yes. {TEN} {TEN}"))
    assert next(c.text for c in hierarchical(parsed) if c.searchable).startswith("Yes. Ten")


def test_none_keeps_a_document_whole_while_the_embedder_takes_it() -> None:
    parsed = document((HEADING, "A", 1), (PARAGRAPH, TEN), (HEADING, "B", 1), (PARAGRAPH, TEN))
    whole = chunk(parsed, ChunkingRules(ChunkingStrategy.NONE, 300), FakeTokenizer())
    assert [c.text for c in whole] == [parsed.text.strip()]
    assert len(chunk(parsed, ChunkingRules(ChunkingStrategy.NONE, 20), FakeTokenizer())) > 1


def test_fixed_windows_overlap_by_tokens_between_words() -> None:
    words = " ".join(f"w{n}" for n in range(100))
    chunks = chunk(document((PARAGRAPH, words)), ChunkingRules(ChunkingStrategy.FIXED, 20, 5), FakeTokenizer())
    assert [c.text.split()[0] for c in chunks[:3]] == ["w0", "w15", "w30"]
    assert [len(c.text.split()) for c in chunks[:3]] == [20, 20, 20]


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_a_word_that_a_tokenizer_takes_for_one_token_does_not_become_one_chunk_of_any_length(
    strategy: ChunkingStrategy,
) -> None:
    parsed = document((PARAGRAPH, "blob " + "x" * 20_000))
    chunks = chunk(parsed, ChunkingRules(strategy, 50), FakeTokenizer(piece=30_000))
    assert max(len(c.text) for c in chunks if c.searchable) <= 50 * 32


@pytest.mark.parametrize(("asked", "limit", "given"), [(300, 254, 254), (200, 254, 200), (300, 1, 8)])
def test_the_chunk_size_is_clamped_to_what_the_embedder_takes(asked: int, limit: int, given: int) -> None:
    assert clamped(asked, limit) == given


@pytest.mark.parametrize(("max_tokens", "overlap"), [(7, 0), (100, -1)])
def test_senseless_rules_are_refused(max_tokens: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="tokens must"):
        ChunkingRules(ChunkingStrategy.FIXED, max_tokens, overlap)
