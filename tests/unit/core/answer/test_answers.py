"""Choosing what to show, what to say without a language model, and when to say nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_core.answer import (
    CALIBRATIONS,
    UNCALIBRATED,
    DocumentRef,
    Passage,
    PromptTemplate,
    TermWeights,
    Wording,
    build_prompt,
    citation_for,
    extract,
    judge,
    select_context,
    terms_of,
)
from ragindex_core.chunking import EstimatingTokenizer
from ragindex_core.document import Location, Span
from ragindex_core.errors import Misconfigured
from ragindex_core.testing.tokenizer import FakeTokenizer

MINILM = CALIBRATIONS["all-minilm-l6-v2"]


def passage(
    text: str, marker: int = 1, *, start: int = 0, cosine: float | None = 0.5, score: float = 1.0, doc: str = "d"
) -> Passage:
    ref = DocumentRef(doc, f"file:///{doc}.md", "Handbook", "v1")
    span = Span(start, start + len(text))
    return Passage(marker, "default/q", f"c{marker}", ref, Location(), (), span, text, cosine, score, "en")


LEAVE = "Welcome to the house. Every employee has thirty days of annual leave. Unused days expire in March."
TRAVEL = "Trips are booked by the office. Hotels cost at most 120 euros a night. Trains are preferred."

texts = st.one_of(
    st.text(min_size=1, max_size=200).filter(lambda text: bool(text.strip())),
    st.lists(
        st.sampled_from(["leave", "days.", "Urlaub", "年假。", "三十天", "é", "👩‍👩‍👧", "x" * 500, "[3]"]),
        min_size=1,
        max_size=30,
    ).map(" ".join),
)
passages = st.lists(texts, max_size=5).map(
    lambda found: [
        passage(text, at + 1, start=7 * at, score=1 / (at + 1), doc=f"d{at}") for at, text in enumerate(found)
    ]
)


@settings(deadline=None)
@given(texts, texts, texts)
def test_a_quote_is_always_a_part_of_its_passage(statement: str, text: str, question: str) -> None:
    citation = citation_for(statement, passage(text, start=5), question)
    assert citation.quote == text[citation.span.start - 5 : citation.span.end - 5] != ""


def test_a_quote_grows_to_the_neighbour_that_holds_the_rest_of_the_statement() -> None:
    citation = citation_for("Employees have thirty days of annual leave which expire unused in March", passage(LEAVE))
    assert citation.quote == "Every employee has thirty days of annual leave. Unused days expire in March."


def test_a_statement_in_another_language_is_quoted_by_the_words_of_the_question() -> None:
    citation = citation_for("Das Haus zahlt es", passage(TRAVEL), question="What may hotels cost?")
    assert citation.quote == "Hotels cost at most 120 euros a night."


def test_an_extractive_answer_is_the_sentence_that_matches_with_its_marker() -> None:
    answer = extract(
        Wording("How many days of annual leave?", ("en",)), [passage(TRAVEL, 1, score=0.9), passage(LEAVE, 2)]
    )
    assert answer.text == "Every employee has thirty days of annual leave. [1]"
    assert [citation.chunk_id for citation in answer.citations] == ["c2"]
    assert [citation.quote for citation in answer.citations] == ["Every employee has thirty days of annual leave."]


def test_an_extractive_answer_takes_from_several_passages_what_covers_the_question() -> None:
    question = Wording("What do hotels cost and how many days of annual leave are there?", ("en",))
    answer = extract(question, [passage(TRAVEL, 1, doc="a"), passage(LEAVE, 2, score=0.9, doc="b")])
    assert [citation.marker for citation in answer.citations] == [1, 2]


def test_numbers_in_brackets_of_a_document_are_not_taken_for_markers() -> None:
    answer = extract(Wording("annual leave", ("en",)), [passage("Annual leave is long [7].\n")])
    assert answer.text == "Annual leave is long (7). [1]"
    assert answer.citations[0].quote == "Annual leave is long [7]."


@settings(deadline=None)
@given(texts, passages, st.integers(1, 3))
def test_an_extractive_answer_quotes_its_passages_word_by_word(question: str, found: list[Passage], most: int) -> None:
    answer = extract(Wording(question, ("en", None)), found, most)
    assert bool(answer.citations) == bool(found)
    assert len(answer.citations) <= most
    by_id = {each.chunk_id: each for each in found}
    for citation in answer.citations:
        source = by_id[citation.chunk_id]
        assert (
            citation.quote
            == source.text[citation.span.start - source.span.start : citation.span.end - source.span.start]
        )
        assert f"[{citation.marker}]" in answer.text


EVIDENCE = [
    pytest.param(0.62, LEAVE, True, id="near, and of the same words"),
    pytest.param(0.20, TRAVEL, False, id="far, and of other words"),
    pytest.param(0.75, TRAVEL, True, id="near in meaning, though not in words"),
    pytest.param(0.20, LEAVE, True, id="of the same words, though far: an identifier, a name"),
    pytest.param(None, LEAVE, True, id="by words alone"),
    pytest.param(None, TRAVEL, False, id="by words alone, of which none is there"),
]


@pytest.mark.parametrize(("cosine", "text", "found"), EVIDENCE)
def test_evidence_is_nearness_in_meaning_or_in_words(cosine: float | None, text: str, found: bool) -> None:
    question = Wording("How many days of annual leave does an employee have?", ("en",))
    assert judge(question, [passage(text, cosine=cosine)], MINILM).found is found


def test_chinese_is_judged_by_its_words_for_a_model_that_does_not_know_it() -> None:
    question = Wording("年假有多少天？", ("zh",))
    assert judge(question, [passage("员工每年有三十天年假。", cosine=0.1)], MINILM).found
    assert not judge(question, [passage("酒店每晚最多一百二十欧元。", cosine=0.7)], MINILM).found


def test_there_is_no_evidence_without_passages_or_telling_words() -> None:
    assert not judge(Wording("leave"), [], MINILM).found
    assert not judge(Wording("???"), [passage(LEAVE, cosine=None)], MINILM).found


def test_a_rare_word_that_is_missing_weighs_more_than_common_ones_that_are_there() -> None:
    weights = TermWeights({"day": 0.2, "annual": 0.3, "leav": 0.3}, unknown=6.0)
    question = Wording("days of annual leave on Jupiter", ("en",), weights)
    assert judge(question, [passage(LEAVE, cosine=None)], UNCALIBRATED).coverage < 0.3


@settings(deadline=None)
@given(texts, passages, st.floats(-1, 1))
def test_more_passages_never_take_evidence_away(question: str, found: list[Passage], cosine: float) -> None:
    wording = Wording(question, ("en", None))
    found = [replace(each, cosine=cosine) for each in found]
    for few, more in pairwise(found):
        if judge(wording, [few], MINILM).found:
            assert judge(wording, [few, more], MINILM).found
    evidence = judge(wording, found, MINILM)
    assert 0 <= evidence.coverage <= 1 + 1e-9


def test_passages_are_taken_in_order_while_they_fit_and_marked_anew() -> None:
    found = [passage("word " * n, 9 - at, doc=f"d{at}") for at, n in enumerate((10, 500, 10))]
    chosen = select_context(found, 150, FakeTokenizer())
    assert [(each.marker, each.document.id) for each in chosen] == [(1, "d0"), (2, "d2")]


def test_a_first_passage_that_is_too_long_is_cut_after_a_sentence() -> None:
    (only,) = select_context([passage(LEAVE, start=100)], 60, FakeTokenizer())
    assert only.text == LEAVE[: len(only.text)]
    assert only.text.endswith("leave.")
    assert only.span == Span(100, 100 + len(only.text))


def test_what_another_passage_already_shows_is_left_out() -> None:
    inner = passage(LEAVE[22:70], 2, start=22)
    assert [each.span for each in select_context([passage(LEAVE), inner], 1000)] == [Span(0, len(LEAVE))]


@settings(deadline=None)
@given(passages, st.integers(0, 400))
def test_the_context_keeps_to_its_budget_and_its_passages_to_their_spans(found: list[Passage], budget: int) -> None:
    chosen = select_context(found, budget)
    assert [each.marker for each in chosen] == list(range(1, len(chosen) + 1))
    assert sum(len(spans) for spans in EstimatingTokenizer().token_spans([each.text for each in chosen])) <= budget
    by_id = {each.chunk_id: each for each in found}
    for each in chosen:
        source = by_id[each.chunk_id]
        assert each.text == source.text[each.span.start - source.span.start : each.span.end - source.span.start]


def shipped() -> PromptTemplate:
    return PromptTemplate.parse((files("ragindex_core") / "prompts" / "answer.md").read_text(encoding="utf-8"))


def test_the_shipped_prompt_shows_question_documents_and_language() -> None:
    request = build_prompt("How many days?", [passage(LEAVE)], shipped(), "de", max_tokens=77)
    assert "thirty days" in request.user
    assert "How many days?" in request.user
    assert '<document marker="[1]" title="Handbook">' in request.user
    assert "code de" in request.system
    assert (request.max_tokens, request.temperature) == (77, None)
    assert "thirty days" not in request.system


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["</document>", "< / documents>", "<DOCUMENT>", "{{question}}", "[2]", "text", "\n"]),
        min_size=1,
    ).map("".join)
)
def test_a_document_can_neither_end_its_quotation_nor_pose_as_another(text: str) -> None:
    request = build_prompt("Why?", [passage(text)], PromptTemplate("s", "{{documents}}\n{{question}}"))
    assert request.user.lower().count("<document") == 1
    assert request.user.count("</document>") == 1
    assert "[2]" not in request.user
    assert request.user.count("{{question}}") == text.count("{{question}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("# System\nx", "one part", id="no user part"),
        pytest.param("# System\n{{documents}}\n# User\nx", "no place for question", id="no question"),
        pytest.param("# System\n{{secret}}\n# User\n{{documents}}{{question}}", "secret", id="an unknown place"),
    ],
)
def test_a_broken_prompt_file_is_told_so(text: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        PromptTemplate.parse(text)


def test_a_heading_is_not_quoted_for_the_text_below_it() -> None:
    text = "## How many days\n\nEvery employee has thirty days."
    found = replace(passage(text), headings=("Annual leave", "How many days"))
    answer = extract(Wording("How many days of leave do I get?", ("en",)), [found])
    assert answer.text == "Every employee has thirty days. [1]"
    assert answer.citations[0].quote == "Every employee has thirty days."


def test_a_passage_of_nothing_but_headings_can_still_be_quoted() -> None:
    found = replace(passage("## How many days"), headings=("How many days",))
    assert extract(Wording("How many days?", ("en",)), [found]).text == "How many days [1]"


PAY = (
    "How long\n\nWho | Weeks at full pay | To be taken within\nBirth parent | 18 | 24 months\n"
    "Other parent | 8 | 24 months\nFoster parent | 6 to 9 | 12 months"
)
HOLIDAYS = "Date | Holiday | Brest\n2026-05-08 | Victory Day | yes\n2026-08-15 | Assumption Day | yes"
MARKDOWN = "| Code | Meaning |\n|---|---|\n| T-101 | Bearing hot |\n| T-117 | Brake loose |"

ROWS = [
    pytest.param(PAY, "How many weeks does the other parent get?", "Other parent | 8 | 24 months", id="a small word"),
    pytest.param(HOLIDAYS, "Is 8 May a holiday in Brest?", "2026-05-08 | Victory Day | yes", id="a date in words"),
    pytest.param(HOLIDAYS, "Ist der 15. August frei?", "2026-08-15 | Assumption Day | yes", id="a German date"),
    pytest.param(HOLIDAYS, "holiday 08.05.2026", "2026-05-08 | Victory Day | yes", id="a date in figures"),
    pytest.param(MARKDOWN, "What does T-117 mean?", "| T-117 | Brake loose |", id="an identifier"),
    pytest.param(PAY, "How many weeks for foster care, 7?", "Foster parent | 6 to 9 | 12 months", id="within a range"),
]


@pytest.mark.parametrize(("text", "question", "row"), ROWS)
def test_of_a_table_the_row_that_was_asked_for_is_quoted(text: str, question: str, row: str) -> None:
    answer = extract(Wording(question, ("en", None)), [passage(text, start=3)])
    assert [citation.quote for citation in answer.citations] == [row]
    span = answer.citations[0].span
    assert text[span.start - 3 : span.end - 3] == row


def test_a_row_is_read_with_the_names_of_its_columns() -> None:
    answer = extract(Wording("weeks of the other parent", ("en",)), [passage(PAY)])
    assert answer.text == "Who: Other parent, Weeks at full pay: 8, To be taken within: 24 months [1]"


def test_a_question_about_a_whole_table_is_answered_with_all_of_it() -> None:
    table = "Service | Own share | Company share\n0 to 1 | 2 | 5\n2 to 4 | 2 | 7"
    answer = extract(Wording("company share", ("en",)), [replace(passage(table), headings=("Pension",))])
    assert answer.citations[0].quote == table


STEPS = "Report theft at once, day or night:\n\n1. call 5555,\n2. write to the desk.\n\nA stolen laptop is an incident."


def test_an_introduction_is_quoted_with_the_list_it_introduces() -> None:
    answer = extract(Wording("report theft", ("en",)), [passage(STEPS)])
    assert answer.citations[0].quote == STEPS[: STEPS.index("\n\nA stolen")]


def test_who_asks_what_to_do_is_given_the_steps() -> None:
    answer = extract(Wording("What should I do if my laptop is stolen?", ("en",)), [passage(STEPS)])
    assert "call 5555" in answer.citations[0].quote
    assert "A stolen laptop is an incident." in answer.text


def test_a_sentence_of_something_else_does_not_lengthen_the_answer() -> None:
    other = "Days of sickness do not count as leave. Hotels are paid."
    question = Wording("When is the canteen closed in summer?", ("en",))
    found = [passage("The canteen is closed in July.", doc="a"), passage(other + " Doors are closed.", 2, doc="b")]
    assert extract(question, found).text == "The canteen is closed in July. [1]"


def test_a_question_in_a_document_is_quoted_with_its_answer() -> None:
    text = "Will the canteen be rebuilt? It will be closed in July."
    assert extract(Wording("rebuilt canteen", ("en",)), [passage(text)]).citations[0].quote == text


def test_a_misspelt_word_counts_as_what_it_nearly_is() -> None:
    wording = Wording("alowance at sea", ("en", None))
    text = "The allowance at sea is 85 euros."
    terms = terms_of(text, "en")
    assert wording.covered(terms) < 0.6 < wording.mended(terms).covered(terms) < 1


def test_small_verbs_hardly_weigh() -> None:
    weights = TermWeights({"day": 1.0, "annual": 2.0, "leav": 1.2, "get": 5.0})
    question = Wording("How many days of annual leave do I get?", ("en",), weights)
    assert question.covered({"day", "annual", "leav"}) > 0.9


@given(st.dates(date(1900, 1, 1), date(2099, 12, 30)))
def test_a_date_is_found_however_it_is_written(day: date) -> None:
    english = f"{day.day} {day:%B} {day.year}"
    for written in (day.isoformat(), f"{day:%d.%m.%Y}", english, f"{day:%B} {day.day}, {day.year}"):
        assert Wording(english, ("en",)).covered(terms_of(f"On {written} it rained", "en")) == 1
    assert Wording(english, ("en",)).covered(terms_of(f"On {day + timedelta(days=1)} it rained", "en")) == 0
