"""What a person types finds what they mean: phrases, identifiers, scripts without spaces, several languages."""

from __future__ import annotations

import pytest

from ragindex_core.analysis import analyse_chunk, query_terms
from ragindex_db.keyword import ChunkTerms

from .conftest import Revision

PASSAGES: dict[int, tuple[str, str, str]] = {
    1: ("en", "Leave", "Annual leave is thirty days; the leave is annual."),
    2: ("en", "Absence", "You leave the annual report on the desk."),
    3: ("en", "Annual", "leave nothing behind"),
    4: ("en", "Errors", "Error E-4012 means that the disk is full."),
    5: ("en", "Errors", "Error E-4013 and room 4012 have nothing in common."),
    6: ("en", "Languages", "We write C++ and C# at work."),
    7: ("en", "Languages", "Vitamin C is healthy."),
    8: ("zh", "数据", "数据库管理系统保存数据。"),
    9: ("zh", "天气", "今天据说会下雨"),
    10: ("de", "Urlaub", "Die Häuser des Unternehmens, der jährliche Urlaub"),
    11: ("ja", "休暇", "年次休暇は三十日です"),
    12: ("ko", "휴가", "연차 휴가는 삼십일입니다"),
}


@pytest.fixture(params=["unsealed", "sealed", "half sealed"])
def passages(request: pytest.FixtureRequest, revision: Revision) -> Revision:
    rows = []
    for number, (language, title, text) in PASSAGES.items():
        counted = analyse_chunk([title, text], language)
        rows.append(ChunkTerms(number, number, counted.length, counted.frequencies, counted.row))
    if request.param == "half sealed":
        revision.write(*rows[::2])
        revision.seal()
        revision.write(*rows[1::2])
    else:
        revision.write(*rows)
        if request.param == "sealed":
            revision.seal()
    return revision


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("annual leave", {1, 2, 3}, id="words anywhere"),
        pytest.param('"annual leave"', {1}, id="a phrase in its order, not across the title"),
        pytest.param('"leave" report', {1, 2, 3}, id="a quoted word must be there"),
        pytest.param('"leave is annual"', {1}, id="a phrase with a function word"),
        pytest.param('"annual leave" "thirty days"', {1}, id="two phrases"),
        pytest.param('"annual leave" "annual report"', set(), id="two phrases that no passage has both of"),
        pytest.param('"leave annual"', set(), id="a phrase in the wrong order"),
        pytest.param('"never said"', set(), id="a phrase of unknown words"),
        pytest.param('"E-4012"', {4}, id="a quoted identifier"),
        pytest.param('"C++"', {6}, id="a quoted identifier of one letter and signs"),
        pytest.param('"数据库管理"', {8}, id="a quoted Chinese word"),
        pytest.param('"数据管理"', set(), id="a quoted Chinese word that is not there in one piece"),
        pytest.param("库", {8}, id="one Chinese character"),
        pytest.param("休暇", {11}, id="Japanese"),
        pytest.param("휴가", {12}, id="Korean, whatever particle follows"),
        pytest.param("Haus", {10}, id="a German plural by its singular"),
        pytest.param('"jahrliche Urlaub"', {10}, id="a German phrase typed without its dots"),
        pytest.param("errors", {4, 5}, id="an English plural in the text by its singular"),
    ],
)
def test_finds(passages: Revision, query: str, found: set[int]) -> None:
    assert set(passages.found(query_terms(query, ["en", "de", "zh", "ja", "ko"]))) == found


def test_an_identifier_finds_the_passage_that_has_it_whole_first(passages: Revision) -> None:
    assert passages.found(query_terms("E-4012", ["en"])) == [4, 5]
    assert passages.found(query_terms("C++", ["en"])) == [6, 7]


def test_a_passage_of_very_many_different_words_is_found(revision: Revision) -> None:
    counted = analyse_chunk([" ".join(f"w{n}" for n in range(56_000))], None)
    revision.write(ChunkTerms(1, 1, counted.length, counted.frequencies, counted.row))
    revision.seal()
    assert revision.found(query_terms("w55999 nothing")) == [1]
    assert revision.found(query_terms('"w10 w11"')) == [1]
    assert revision.found(query_terms('"w11 w10"')) == []
