"""How much of a question, or of a statement, the words of a text cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain

from ragindex_core.analysis import analyse, query_terms
from ragindex_core.answer.passages import Passage, as_prose
from ragindex_core.chunking.atoms import cut_before
from ragindex_core.chunking.sentences import sentences, trimmed
from ragindex_core.document import Span

#: A quote is to be read at a glance: sentences beyond this are cut between words.
QUOTE_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class TermWeights:
    """What the terms of a question are worth in the index searched. A term the index does not hold is worth the most:
    a question about it is a question about something else."""

    idf: Mapping[str, float] = field(default_factory=dict)
    unknown: float = 1.0

    def of(self, word: tuple[str, ...]) -> float:
        """A word is worth what its most common form is."""
        return min((self.idf[term] for term in word if term in self.idf), default=self.unknown)


class Wording:
    """The telling words of a question or statement, each with its forms and its weight."""

    def __init__(self, text: str, languages: tuple[str | None, ...] = (), weights: TermWeights | None = None) -> None:
        weights = weights or TermWeights()
        self._weights = {word: weights.of(word) for word in query_terms(text, languages).words}
        self.total = sum(self._weights.values())
        bigrams = sum(weight for word, weight in self._weights.items() if _is_unspaced(word[0]))
        #: Whether the question is, for the most part, in a script that writes no spaces between words.
        self.unspaced = bigrams * 2 > self.total

    def covered(self, terms: AbstractSet[str], already: AbstractSet[tuple[str, ...]] = frozenset()) -> float:
        """The share of the weight that ``terms`` hold, without the words that were covered ``already``."""
        if self.total <= 0:
            return 0.0
        return sum(self._weights[word] for word in self.words_in(terms) if word not in already) / self.total

    def words_in(self, terms: AbstractSet[str]) -> frozenset[tuple[str, ...]]:
        return frozenset(word for word in self._weights if not terms.isdisjoint(word))


def _is_unspaced(term: str) -> bool:
    return len(term) <= 2 and (
        "\u0e00" <= term[0] <= "\u0eff" or "\u2e80" <= term[0] <= "\ud7ff" or term[0] > "\U0001ffff"
    )


def terms_of(text: str, language: str | None) -> frozenset[str]:
    """Every term of a text, also as it would be in a language nobody could tell."""
    found = chain(analyse(text, language), analyse(text, None) if language else ())
    return frozenset(token.term for token in found)


def quotable(passage: Passage) -> list[Span]:
    """The sentences of a passage, each short enough to be quoted; a heading says nothing by itself and is left out,
    unless there is nothing else."""
    text = passage.text
    titles = {as_prose(title) for title in (*passage.headings, passage.document.title or "")}
    bodies = [body for body in (_without_headings(text, each, titles) for each in sentences(text)) if body is not None]
    return _cut_to_size(text, bodies) or _cut_to_size(text, sentences(text))


def _without_headings(text: str, sentence: Span, titles: AbstractSet[str]) -> Span | None:
    """What follows the heading lines that a sentence begins with, if anything does."""
    start = sentence.start
    for line in text[sentence.start : sentence.end].splitlines(keepends=True):
        if line.strip() and as_prose(line) not in titles:
            return Span(start, sentence.end)
        start += len(line)
    return None


def _cut_to_size(text: str, spans: Sequence[Span]) -> list[Span]:
    parts: list[Span] = []
    for sentence in spans:
        start = sentence.start
        while sentence.end - start > QUOTE_CHARACTERS:
            end = cut_before(text, start, start + QUOTE_CHARACTERS)
            if (part := trimmed(text, start, end)) is not None:
                parts.append(part)
            start = end
        if (part := trimmed(text, start, sentence.end)) is not None:
            parts.append(part)
    return parts
