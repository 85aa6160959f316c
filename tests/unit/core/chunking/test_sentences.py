"""Where sentences end, in several languages, and that nothing of the text is lost or quoted twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.chunking import sentences

CASES = [
    pytest.param("It rains. We stay in! Do we? Yes.", ["It rains.", "We stay in!", "Do we?", "Yes."], id="plain stops"),
    pytest.param(
        "Dr. Miller met Mrs. Lee at Acme Inc. last May. They talked.",
        ["Dr. Miller met Mrs. Lee at Acme Inc. last May.", "They talked."],
        id="English abbreviations",
    ),
    pytest.param("See e.g. Fig. 3 and No. 7. It shows it.", ["See e.g. Fig. 3 and No. 7.", "It shows it."], id="e.g."),
    pytest.param("He said no. Then he left.", ["He said no.", "Then he left."], id="'no.' is a word without a number"),
    pytest.param("It costs 3.50 dollars. Version 1.2.3 is out.", 2, id="decimals and versions"),
    pytest.param("J. R. Smith wrote it. We read it.", ["J. R. Smith wrote it.", "We read it."], id="initials"),
    pytest.param("It began in 2017. The end came soon.", 2, id="a year ends a sentence"),
    pytest.param(
        "“Stop.” He ran. (He fell.) Then he rose.", ["“Stop.”", "He ran.", "(He fell.)", "Then he rose."], id="closers"
    ),
    pytest.param("Go to www.example.com or a.b@c.org. Then wait.", 2, id="addresses"),
    pytest.param("Wait... what is it? Nothing.", ["Wait... what is it?", "Nothing."], id="dots that run on"),
    pytest.param("we paid the bill in december. a new one followed.", 2, id="all in lower case"),
    pytest.param(
        "Am 3. Oktober gilt z. B. Urlaub bzw. Ruhe. Der 2. Weltkrieg endete 1945. Danach kam Frieden.",
        ["Am 3. Oktober gilt z. B. Urlaub bzw. Ruhe.", "Der 2. Weltkrieg endete 1945.", "Danach kam Frieden."],
        id="German ordinals and abbreviations",
    ),
    pytest.param("今天下雨。我们不出门！好吗？好。", ["今天下雨。", "我们不出门！", "好吗？", "好。"], id="Chinese"),
    pytest.param("彼は「行く。」と言った。そして帰った。", 3, id="Japanese with quotes"),
    pytest.param("هل تمطر؟ نعم. شكرا", 3, id="Arabic"),
    pytest.param("यह ठीक है। वह गया।", 2, id="Hindi"),
    pytest.param(
        "Heading\n\nA text without a stop\n\nAnother", ["Heading", "A text without a stop", "Another"], id="blank lines"
    ),
    pytest.param(
        "- one thing\n- another thing\n- a third", ["- one thing", "- another thing", "- a third"], id="bullets"
    ),
    pytest.param("1. Buy milk\n2. Go home", ["1. Buy milk", "2. Go home"], id="numbered lines"),
    pytest.param(
        "This line was wrapped by an editor at some seventy characters, as\nis usual in text. The next begins here.",
        2,
        id="a wrapped line goes on",
    ),
    pytest.param("", [], id="nothing"),
    pytest.param(" \n\t ", [], id="white space"),
    pytest.param("no stop at all", ["no stop at all"], id="no stop"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_text_is_cut_where_its_sentences_end(text: str, expected: list[str] | int) -> None:
    found = [span.of(text) for span in sentences(text)]
    assert (found if isinstance(expected, list) else len(found)) == expected


pieces = st.sampled_from(
    [
        "a",
        "Dr",
        "word",
        "3",
        "12",
        ".",
        "!",
        "?",
        "…",
        "。",
        " ",
        "  ",
        "\n",
        "\n\n",
        "“",
        "”",
        ")",
        "(",
        "語",
        "👩‍👩‍👧",
        "é",
        "-",
        "z.B.",
    ]
)
texts = st.one_of(st.lists(pieces, max_size=60).map("".join), st.text(max_size=80))


@given(texts, st.data())
def test_sentences_are_ordered_disjoint_and_cover_all_but_white_space(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    position = start
    for span in sentences(text, start, end):
        assert text[position : span.start].strip() == ""
        assert span.of(text) == span.of(text).strip() != ""
        position = span.end
    assert text[position:end].strip() == ""
    assert position <= end


@pytest.mark.parametrize("unit", [".", "?!", "…", "\n", ". ", "a.", "))", "1.", "。"])
def test_a_text_of_nothing_but_stops_takes_no_longer_than_any_other(unit: str) -> None:
    text = unit * (200_000 // len(unit))  # quadratic, this would run for minutes
    assert sum(len(span) for span in sentences(text)) <= len(text)
