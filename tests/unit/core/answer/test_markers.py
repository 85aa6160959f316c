"""What the gate lets through: verified markers, each with a citation that can be checked, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_core.answer import AnswerText, Citation, DocumentRef, GateEvent, MarkerGate, Passage
from ragindex_core.document import Location, Span

CONTENT = (
    "Preface. Every employee has thirty days of annual leave. Leave must be asked for two weeks ahead. "
    "Expenses above 50 euros need a receipt. The receipt is kept for ten years. Doors are locked at night."
)


def passage(marker: int, start: int, end: int) -> Passage:
    ref = DocumentRef("d1", "file:///handbook.md", "Handbook", "v1")
    text = CONTENT[start:end]
    return Passage(
        marker, "default/quickstart", f"c{marker}", ref, Location(page=1), (), Span(start, end), text, 0.5, 1.0, "en"
    )


SPLIT = CONTENT.index("Expenses")
PASSAGES = [passage(1, 9, SPLIT - 1), passage(2, SPLIT, len(CONTENT))]


def through(deltas: list[str]) -> tuple[str, list[tuple[int, Citation]], int]:
    """The text that came out, each citation with the length of the text before it, and the markers taken out."""
    gate = MarkerGate(PASSAGES)
    events: list[GateEvent] = [event for delta in deltas for event in gate.feed(delta)]
    events += gate.close()
    text = ""
    citations: list[tuple[int, Citation]] = []
    for event in events:
        if isinstance(event, AnswerText):
            text += event.text
        else:
            citations.append((len(text), event))
    return text, citations, gate.invented


CASES = [
    pytest.param("You have thirty days [1].", "You have thirty days [1].", [1], 0, id="a given marker stays"),
    pytest.param(
        "You have thirty days [7].", "You have thirty days.", [], 1, id="an invented one goes, and is counted"
    ),
    pytest.param("Thirty days [1, 9] and receipts [2][3].", "Thirty days [1] and receipts [2].", [1, 2], 2, id="lists"),
    pytest.param("Thirty days and receipts [1-2].", "Thirty days and receipts [1][2].", [1, 2], 0, id="ranges"),
    pytest.param("Thirty days【1】", "Thirty days[1]", [1], 0, id="brackets of other keyboards"),
    pytest.param(
        "See [the list] and a[i] and [2024] and [0].",
        "See [the list] and a[i] and [2024] and [0].",
        [],
        0,
        id="no markers",
    ),
    pytest.param("Open [", "Open [", [], 0, id="a bracket at the end"),
    pytest.param("Open [1", "Open [1", [], 0, id="a marker the model did not finish"),
    pytest.param("[[1]] x", "[[1]] x", [1], 0, id="brackets in brackets"),
    pytest.param("A [" + " " * 80 + "1] b", "A [" + " " * 80 + "1] b", [], 0, id="nothing is held for long"),
    pytest.param("", "", [], 0, id="nothing"),
]


@pytest.mark.parametrize(("said", "shown", "cited", "invented"), CASES)
def test_only_verified_markers_pass(said: str, shown: str, cited: list[int], invented: int) -> None:
    text, citations, removed = through([said])
    assert (text, [citation.marker for _, citation in citations], removed) == (shown, cited, invented)


def test_a_quote_is_the_sentence_that_supports_what_is_said() -> None:
    _, citations, _ = through(["You must ask for leave two weeks ahead [1]. You need receipts for expenses. [2]"])
    assert [citation.quote for _, citation in citations] == [
        "Leave must be asked for two weeks ahead.",
        "Expenses above 50 euros need a receipt.",
    ]


def test_the_same_quote_is_cited_once_and_another_of_the_same_passage_again() -> None:
    said = "Thirty days of annual leave [1]. Again: thirty days of annual leave [1]. Ask two weeks ahead [1]."
    _, citations, _ = through([said])
    assert [citation.marker for _, citation in citations] == [1, 1]
    assert len({citation.span for _, citation in citations}) == 2


def test_what_is_cited_is_numbered_from_one_as_it_appears() -> None:
    text, citations, _ = through(["Receipts are needed [2", "]. Thirty days [1]. Receipts [2]."])
    assert text == "Receipts are needed [1]. Thirty days [2]. Receipts [1]."
    assert [(each.marker, each.chunk_id) for _, each in citations][:2] == [(1, "c2"), (2, "c1")]


def test_text_from_a_bracket_on_is_held_until_its_marker_is_verified() -> None:
    gate = MarkerGate(PASSAGES)
    assert gate.feed("Thirty days [") == [AnswerText("Thirty days")]
    assert gate.feed("1") == []
    events = gate.feed("]")
    assert [e.text if isinstance(e, AnswerText) else e.marker for e in events] == [" [1]", 1]


answers = st.lists(
    st.one_of(
        st.sampled_from(
            ["[1]", "[2]", "[3]", " [1]", "[1, 2]", "[1,9]", "[", "]", "[1", "1]", "[12-14]", "【2】", " ", "\n", ".",
             "[[", "[^1]", "thirty days ", "receipt", "。", "👩‍👩‍👧", "[ 1 ]", "[2024]", "[" + "1, " * 30 + "1]"]
        ),
        st.text(max_size=5),
    ),
    max_size=25,
).map("".join)  # fmt: skip


@settings(deadline=None)
@given(answers, st.data())
def test_how_the_text_is_divided_changes_nothing(said: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=12)))
    deltas = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert through(deltas) == through([said]) == through(list(said))


@settings(deadline=None)
@given(answers)
def test_every_citation_is_a_part_of_its_passage_and_of_the_content(said: str) -> None:
    text, citations, _ = through([said])
    for position, citation in citations:
        assert text[:position].endswith(f"[{citation.marker}]")
        assert citation.span.of(CONTENT) == citation.quote != ""
        given_passage = next(each for each in PASSAGES if each.chunk_id == citation.chunk_id)
        assert given_passage.span.start <= citation.span.start
        assert citation.span.end <= given_passage.span.end
