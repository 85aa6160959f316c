"""A tokenizer that remembers words tells the same tokens as one that reads every text anew."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Metaspace

from ragindex_providers.local_model.tokenizer import ModelTokenizer

PIECES = [*"abcdeghu", *(f"##{c}" for c in "abcdeghu"), "ab", "##cde", "head", ",", ".", "-", "字", "ß"]


def bert(*added: AddedToken) -> Tokenizer:
    vocabulary = {piece: number for number, piece in enumerate(["[UNK]", "[CLS]", "[SEP]", *PIECES])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens([AddedToken("[CLS]", special=True), AddedToken("[SEP]", special=True), *added])
    return tokenizer


def check(tokenizer: Tokenizer, texts: list[str]) -> None:
    ours = ModelTokenizer(tokenizer.to_str().encode(), 64)
    expected = [encoding.offsets for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    for _ in range(2):  # the second time out of what it remembers
        assert ours.token_spans(texts) == expected
        assert ours.token_counts(texts) == [len(offsets) for offsets in expected]


texts = st.lists(
    st.text(
        st.sampled_from([*"abcdeghuABÄ ,.-[]\n\t\r", "\u0301", "\xa0", "\x1c", "\x00", "\u2028", "字", "ß", "İ", "🙂"])
    )
    | st.lists(st.sampled_from(["head", "[CLS]", "x[SEP]", " ", "\n", "abcde" * 9, "b\u0301", "\u0301"])).map("".join),
    max_size=4,
)


@given(texts)
def test_words_have_the_tokens_that_the_text_has(some: list[str]) -> None:
    check(bert(), some)


@given(texts)
def test_a_tokenizer_that_does_not_cut_at_white_space_gets_texts_whole(some: list[str]) -> None:
    tokenizer = bert()
    tokenizer.pre_tokenizer = Metaspace()
    check(tokenizer, some)


@pytest.mark.parametrize(
    "added",
    [AddedToken("[MASK]", lstrip=True, special=True), AddedToken("of the", special=False), AddedToken("a\xa0b")],
)
def test_tokens_that_reach_over_white_space_are_found(added: AddedToken) -> None:
    check(bert(added), ["head [MASK] head", "head of the head", "a\xa0b of  the"])


def test_it_remembers_only_words_and_not_without_end() -> None:
    ours = ModelTokenizer(bert().to_str().encode(), 64)
    assert json.loads(bert().to_str())["pre_tokenizer"] == {"type": "BertPreTokenizer"}
    assert ours.token_counts(["head " * 1_000 + "a" * 1_000_000]) == [1_001]
    assert ours.token_counts(["head"]) == [1]
