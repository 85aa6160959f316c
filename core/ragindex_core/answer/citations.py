"""Which words of a passage bear out what an answer says."""

from __future__ import annotations

from math import log

from ragindex_core.answer.matching import TermWeights, Wording, terms_of
from ragindex_core.answer.parts import quotable
from ragindex_core.answer.passages import Citation, Passage, cite
from ragindex_core.document import Span

_MOST_SENTENCES = 3
_WORTH_A_SENTENCE = 0.2  # of the statement: less new support does not lengthen a quote


def citation_for(statement: str, passage: Passage, question: str = "") -> Citation:
    """The citation whose quote is the part of the passage that best supports the statement.

    Where the statement shares no word with the passage (it may be in another language), the question's words choose,
    and at last the passage's first sentence stands for it.
    """
    parts = [part.span for part in quotable(passage)]
    terms = [terms_of(part.of(passage.text), passage.language) for part in parts]
    for wording in (_wording(text, passage, terms) for text in (statement, question) if text):
        chosen = _best(wording, terms)
        if chosen is not None:
            first, last = chosen
            return cite(passage, Span(parts[first].start, parts[last].end))
    return cite(passage, parts[0] if parts else Span(0, len(passage.text)))


def _wording(text: str, passage: Passage, terms: list[frozenset[str]]) -> Wording:
    """The words of the statement, those worth most that stand in few of the passage's sentences."""
    words = {term for sentence in terms for term in sentence}
    idf = {term: log(1 + len(terms) / sum(term in sentence for sentence in terms)) for term in words}
    return Wording(text, (passage.language, None), TermWeights(idf, unknown=log(2 + len(terms))))


def _best(wording: Wording, terms: list[frozenset[str]]) -> tuple[int, int] | None:
    """The first and last sentence of the best support; None when there is none at all."""
    shares = [wording.covered(each) for each in terms]
    if not shares or max(shares) <= 0:
        return None
    first = last = shares.index(max(shares))
    held = wording.words_in(terms[first])
    while last - first + 1 < _MOST_SENTENCES:
        gains = [(wording.covered(terms[at], held), at) for at in (last + 1, first - 1) if 0 <= at < len(terms)]
        gain, at = max(gains, key=lambda each: each[0], default=(0.0, first))
        if gain < _WORTH_A_SENTENCE:
            break
        held |= wording.words_in(terms[at])
        first, last = min(first, at), max(last, at)
    return first, last
