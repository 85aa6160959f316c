"""How much of a question, or of a statement, the words of a text cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, pairwise

from ragindex_core.analysis import analyse, query_terms
from ragindex_core.answer.dates import asked_dates, date_terms

#: Words that put a question together and say nothing of what it is about, though they are verbs.
_LIGHT = """
    get gets getting got have having do doing done happen happens mean means tell know want need please much many long
    often use using used make go let give given take find say able allowed kind
    bekomme bekommt bekommen kriege kriegt habe haben gibt geben tun mache macht machen brauche braucht brauchen viel
    viele wieviel wieviele lange hoch oft bitte weiß möchte darf dürfen heißt bedeutet passiert gehen geht
"""
_LIGHT_SHARE = 0.2
_MOST_OF_MEAN = 1.6  # the weight of one word, of the mean of all: no single word decides
_SHORTEST_MISSPELT, _LONG = 5, 9
_MISSPELT_SHARE = 0.8


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
        self.text = text
        dates, rest = asked_dates(text)
        words = query_terms(rest, languages).words if rest.strip() else ()
        worth = {word: weights.of(word) for word in words}
        light = _light_terms(tuple(dict.fromkeys((*languages, None))))
        telling = {word: weight for word, weight in worth.items() if light.isdisjoint(word)}
        most = _MOST_OF_MEAN * sum(telling.values()) / len(telling) if telling else 0.0
        least = min(telling.values(), default=max(worth.values(), default=0.0))
        self._weights = {
            word: min(weight, most) if word in telling else _LIGHT_SHARE * min(weight, least)
            for word, weight in worth.items()
        }
        self._pairs = tuple(pair for pair in pairwise(words) if not _is_unspaced(pair[0][0]))
        self._small = frozenset(token.term for token in analyse(rest, None) if len(token.term) > 1)
        self._weights |= dict.fromkeys(dates, max(self._weights.values(), default=weights.unknown))
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

    def together(self, text: str, language: str | None) -> float:
        """The share of the question's neighbouring words that stand next to each other, or all but, in the text."""
        if not self._pairs:
            return 0.0
        row = [token.term for token in analyse(text, language) if not token.extra]
        near = {(a, b) for gap in (1, 2) for a, b in zip(row, row[gap:], strict=False)}
        return sum(any((a, b) in near for a in one for b in other) for one, other in self._pairs) / len(self._pairs)

    def alike(self, terms: AbstractSet[str]) -> float:
        """The share of all the question's words, small ones too, that stand there as they were asked."""
        return len(self._small & terms) / len(self._small) if self._small else 0.0

    def mended(self, vocabulary: Iterable[str]) -> Wording:
        """With each word that the vocabulary does not hold also standing for the one it may be a misspelling of."""
        held = frozenset(vocabulary)
        weights: dict[tuple[str, ...], float] = {}
        for word, weight in self._weights.items():
            missing = word if held.isdisjoint(word) else ()
            close = sorted({term for form in missing for term in held if _misspelt(form, term)})
            weights[(*word, *close)] = weight * (_MISSPELT_SHARE if close else 1.0)
        mended = copy(self)
        mended._weights = weights  # of the same total: what is only nearly the word asked for counts for less
        return mended


def _is_unspaced(term: str) -> bool:
    return len(term) <= 2 and (
        "\u0e00" <= term[0] <= "\u0eff" or "\u2e80" <= term[0] <= "\ud7ff" or term[0] > "\U0001ffff"
    )


def terms_of(text: str, language: str | None) -> frozenset[str]:
    """Every term of a text, also as it would be in a language nobody could tell, and its dates."""
    found = chain(analyse(text, language), analyse(text, None) if language else ())
    return frozenset(token.term for token in found) | date_terms(text)


@lru_cache(maxsize=64)
def _light_terms(languages: tuple[str | None, ...]) -> frozenset[str]:
    return frozenset(token.term for language in languages for token in analyse(_LIGHT, language))


def _misspelt(form: str, term: str) -> bool:
    """Whether two words are one but for a letter, or two in a long word; the first letter is seldom wrong."""
    if len(form) < _SHORTEST_MISSPELT or len(term) < _SHORTEST_MISSPELT or form[0] != term[0]:
        return False
    if not (form.isalpha() and term.isalpha()):
        return False
    most = 2 if min(len(form), len(term)) >= _LONG else 1
    return abs(len(form) - len(term)) <= most and _distance(form, term) <= most


def _distance(one: str, other: str) -> int:
    """Letters to put in, take out, change, or swap with their neighbour."""
    older: list[int] = []
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        older, before, row = before, row, [i]
        for j, against in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
