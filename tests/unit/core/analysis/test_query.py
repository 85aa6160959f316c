"""What the words of a question look like in the index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.analysis import KeywordQuery, Phrase, PhraseForm, analyse_chunk, query_terms


def words(query: str, *languages: str | None, language: str | None = None) -> tuple[tuple[str, ...], ...]:
    return query_terms(query, languages, language).words


def test_a_word_stands_for_its_stems_in_every_language_of_the_index() -> None:
    assert words("policies", "en", "de", None) == (("polici", "policies"),)


def test_the_language_of_the_question_overrides_those_of_the_index() -> None:
    assert words("policies", "de", None, language="en") == (("polici",),)


def test_an_index_that_says_nothing_of_its_languages_is_asked_for_the_words_as_they_are() -> None:
    assert words("Policies") == (("policies",),)


@pytest.mark.parametrize(
    ("query", "languages", "expected"),
    [
        pytest.param("what is the notice period", ["en"], ["notic", "period"], id="function words say nothing"),
        pytest.param("to be or not to be", ["en"], ["to", "be", "or", "not"], id="unless there are no others"),
        pytest.param("die hard", ["en", "de"], ["die", "hard"], id="one that another language gives a sense stays"),
        pytest.param("the IT department", ["en"], ["it", "depart"], id="an acronym is no function word"),
        pytest.param("THE IT DEPARTMENT", ["en"], ["depart"], id="but a shout holds no acronyms"),
        pytest.param("leave leave", ["en"], ["leav"], id="a word counts once"),
        pytest.param("E-4012", ["en"], ["e", "4012", "e-4012"], id="an identifier is asked for whole and in parts"),
        pytest.param("数据库", ["zh"], ["数据", "据库"], id="bigrams are not asked for by their characters"),
        pytest.param("库", ["zh"], ["库"], id="a single character is"),
        pytest.param("?!", ["en"], [], id="nothing asks for nothing"),
    ],
)
def test_terms(query: str, languages: list[str | None], expected: list[str]) -> None:
    assert list(query_terms(query, languages).terms) == expected


def test_quoted_words_become_a_phrase_and_rank_as_well() -> None:
    query = query_terms('the "annual leave" days', ["en"])
    assert query.phrases == (Phrase((PhraseForm(("annual", "leav")),)),)
    assert query.terms == ("annual", "leav", "day")


def test_a_phrase_keeps_its_function_words_and_has_a_form_for_each_language() -> None:
    (phrase,) = query_terms("„Haus of the houses“", ["en", "de"]).phrases
    assert phrase.forms == (PhraseForm(("haus", "of", "the", "hous")), PhraseForm(("haus", "of", "the", "hous"))) or (
        [form.row[1:3] for form in phrase.forms] == [("of", "the")] * len(phrase.forms)
    )


def test_a_quoted_identifier_must_be_there_whole() -> None:
    (phrase,) = query_terms('"C++ code"', ["en"]).phrases
    assert phrase.forms == (PhraseForm(("c", "code"), ("c++",)),)


def test_quotes_around_nothing_ask_for_nothing() -> None:
    assert query_terms('leave "" "?"', ["en"]).phrases == ()


def test_a_question_without_end_is_cut() -> None:
    assert len(query_terms(" ".join(f"word{n}" for n in range(500)), ["en"]).terms) == 64


@given(st.text(max_size=200), st.lists(st.sampled_from([None, "en", "de", "fr", "zh"]), max_size=3))
def test_every_term_of_a_question_is_one_that_its_own_text_would_have(text: str, languages: list[str | None]) -> None:
    query = query_terms(text, languages)
    held = languages or [None]
    there = {term for language in held for term in analyse_chunk([text], language).frequencies}
    assert {term for word in query.words for term in word} <= there
    assert bool(query.words) == bool(there)
    assert len(set(query.terms)) == len(query.terms)


def test_the_empty_question_is_the_default() -> None:
    assert query_terms("") == KeywordQuery()
