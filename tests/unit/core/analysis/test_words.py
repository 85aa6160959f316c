"""What becomes of text: words of any script, identifiers, characters that look alike."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.analysis import analyse, analyse_chunk

LANGUAGES = st.sampled_from([None, "en", "de", "fr", "ru", "zh", "hi", "ar", "unheard-of"])


def row(text: str, language: str | None = None) -> list[str]:
    return [token.term for token in analyse(text, language) if not token.extra]


def extras(text: str, language: str | None = None) -> list[str]:
    return [token.term for token in analyse(text, language) if token.extra]


@pytest.mark.parametrize(
    ("text", "language", "terms"),
    [
        pytest.param("Policies, POLICY", "en", ["polici", "polici"], id="English words lose their endings"),
        pytest.param("Häuser", "de", ["haus"], id="German plurals meet their singular"),
        pytest.param("actions", "fr", ["action"], id="French plurals as well"),
        pytest.param("Straße", None, ["strasse"], id="sharp s is two letters"),
        pytest.param("naïve café", None, ["naive", "cafe"], id="accents fall"),
        pytest.param("Łódź Ærø", None, ["lodz", "aero"], id="letters that Unicode does not take apart fall too"),
        pytest.param("мой ёж", None, ["мой", "еж"], id="a Cyrillic mark makes another letter, but ё is written as е"),
        pytest.param("ﬁle Ｗｉｄｅ ①", None, ["file", "wide", "1"], id="compatibility forms are what they stand for"),
        pytest.param("soft\u00adhyphen", None, ["softhyphen"], id="a soft hyphen is not there"),
        pytest.param("company's", "en", ["compani"], id="a possessive is the word itself"),
        pytest.param("l’avion", None, ["l", "avion"], id="an elision is two words"),
        pytest.param("1,000,000", None, ["1000000"], id="grouped digits are one number"),
        pytest.param("हिन्दी", None, ["हिन्दी"], id="vowel signs and viramas stay inside the word"),
        pytest.param("كِتَاب", None, ["كتاب"], id="Arabic vowel points are optional"),
        pytest.param("数据库", "zh", ["数据", "据库"], id="Chinese is cut into bigrams"),
        pytest.param("データ", "ja", ["デー", "ータ"], id="so is Japanese"),
        pytest.param("관리 팀", "ko", ["관리", "팀"], id="so is Korean, within its words"),
        pytest.param("我 OK", "zh", ["我", "ok"], id="a character alone is a term"),
        pytest.param("ข้อมูล", "th", ["ข้", "้อ", "อม", "มู", "ูล"], id="so is Thai"),
        pytest.param("...!?", None, [], id="punctuation is nothing"),
        pytest.param("", None, [], id="neither is nothing"),
    ],
)
def test_running_text(text: str, language: str | None, terms: list[str]) -> None:
    assert row(text, language) == terms


@pytest.mark.parametrize(
    ("identifier", "parts", "whole"),
    [
        pytest.param("E-4012", ["e", "4012"], "e-4012", id="error code"),
        pytest.param("foo_bar", ["foo", "bar"], "foo_bar", id="variable"),
        pytest.param("v1.2.3", ["v1", "2", "3"], "v1.2.3", id="version"),
        pytest.param("192.168.0.1", ["192", "168", "0", "1"], "192.168.0.1", id="IPv4 address"),
        pytest.param("fe80::1", ["fe80", "1"], "fe80::1", id="IPv6 address"),
        pytest.param("a.b@example.org", ["a", "b", "example", "org"], "a.b@example.org", id="e-mail address"),
        pytest.param("C++", ["c"], "c++", id="language with a sign"),
        pytest.param("C#", ["c"], "c#", id="language with another sign"),
        pytest.param("std::vector", ["std", "vector"], "std::vector", id="qualified name"),
        pytest.param("main.py", ["main", "py"], "main.py", id="file name"),
        pytest.param("IL-6", ["il", "6"], "il-6", id="short code"),
        pytest.param("AT&T", ["at", "t"], "at&t", id="company"),
        pytest.param("U.S.A.", ["u", "s", "a"], "usa", id="acronym with dots, as without them"),
    ],
)
def test_identifiers_are_kept_whole_beside_their_parts(identifier: str, parts: list[str], whole: str) -> None:
    assert row(f"see {identifier}, please") == ["see", *parts, "please"]
    assert extras(f"see {identifier}, please") == [whole]


def test_joined_words_are_no_identifier() -> None:
    assert row("state-of-the-art") == ["state", "of", "the", "art"]
    assert extras("state-of-the-art don't") == []


def test_single_characters_stand_beside_bigrams() -> None:
    assert extras("数据库", "zh") == ["数", "据", "库"]


def test_encoded_data_is_cut_and_not_kept_whole() -> None:
    assert [len(term) for term in row("A" * 500)] == [64]
    assert extras("-".join(["x1y2"] * 40)) == []


def test_a_chunk_counts_its_terms_and_only_its_running_text_makes_its_length() -> None:
    chunk = analyse_chunk(["Error codes", "E-4012 and e-4012: the codes"], "en")
    assert chunk.length == 9
    assert chunk.frequencies == {"error": 1, "code": 2, "e": 2, "4012": 2, "e-4012": 2, "and": 1, "the": 1}
    assert chunk.row == ("error", "code", None, "e", "4012", "and", "e", "4012", "the", "code")


def test_texts_without_words_leave_no_gap() -> None:
    assert analyse_chunk(["", "one", "--", "two"], None).row == ("one", None, "two")


@given(st.text(max_size=200), LANGUAGES)
def test_any_text_gives_clean_terms_at_rising_positions(text: str, language: str | None) -> None:
    tokens = analyse(text, language)
    running = [token.position for token in tokens if not token.extra]
    assert running == list(range(len(running)))
    for token in tokens:
        assert token.term
        assert not any(character.isspace() for character in token.term)
        assert token.term == token.term.casefold() or not token.term.isascii()
        assert 0 <= token.position < len(running)


@given(st.text(max_size=200), LANGUAGES)
def test_a_chunk_is_its_tokens(text: str, language: str | None) -> None:
    tokens = analyse(text, language)
    chunk = analyse_chunk([text], language)
    assert list(chunk.row) == [token.term for token in tokens if not token.extra]
    assert sum(chunk.frequencies.values()) == len(tokens)
    assert set(chunk.frequencies) == {token.term for token in tokens}


@given(st.text(max_size=100), LANGUAGES)
def test_the_form_of_unicode_does_not_matter(text: str, language: str | None) -> None:
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert analyse(composed, language) == analyse(decomposed, language)


@given(st.lists(st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x24F), min_size=1), max_size=10))
def test_spaces_and_case_do_not_matter(words: list[str]) -> None:
    assert analyse("  ".join(words), "en") == analyse("\n".join(words).lower().upper().lower(), "en")


def test_threads_agree() -> None:
    texts = [f"running tests number{n} studies" for n in range(200)]
    alone = [analyse(text, "en") for text in texts]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(analyse, texts * 4, ["en"] * 800)) == alone * 4
