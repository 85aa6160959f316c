"""What the words of a question look like in the index.

The language of three words cannot be told, so each word stands for its stems under every language the index holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ragindex_core.analysis.folding import fold_accents, normalise
from ragindex_core.analysis.languages import FUNCTION_WORDS, detect_language
from ragindex_core.analysis.words import Token, analyse

#: More words than this are a document, not a question: the rarer of them cannot be told without asking the database,
#: and the first ones are as good as any.
MAX_QUERY_TERMS = 64
_SHORTEST_IDENTIFIER = 4
_MOST_IDENTIFIERS = 8

# Straight and typographic quotation marks; an apostrophe is none of them.
_QUOTED = re.compile('["“”„«»「」『』]([^"“”„«»「」『』]+)["“”„«»「」『』]')

_ACRONYM = re.compile(r"\b[A-Z]{2,}\b")


@dataclass(frozen=True, slots=True)
class PhraseForm:
    """One way a phrase can stand in the index: terms in a row, and extra terms that must be there as well."""

    row: tuple[str, ...]
    extras: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.row + self.extras))


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a passage must contain: one of the forms, which differ by language."""

    forms: tuple[PhraseForm, ...]


@dataclass(frozen=True, slots=True)
class KeywordQuery:
    """``words`` holds for each word of the question the terms it can stand as; a passage is ranked by all of them.
    ``identifiers`` are those terms that name one thing, such as ``e-4012``."""

    words: tuple[tuple[str, ...], ...] = ()
    phrases: tuple[Phrase, ...] = field(default=())
    identifiers: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term once, in the order of the question."""
        return tuple(dict.fromkeys(term for word in self.words for term in word))[:MAX_QUERY_TERMS]


def query_terms(query: str, languages: Sequence[str | None] = (), language: str | None = None) -> KeywordQuery:
    """``languages`` are those of the documents in the index (None for documents whose language nobody could tell);
    ``language``, when given, is the language of the question and overrides them."""
    held: tuple[str | None, ...] = (language,) if language else tuple(dict.fromkeys(languages)) or (None,)
    phrases = tuple(
        phrase for quoted in _QUOTED.findall(query) if (phrase := Phrase(tuple(_forms(quoted, held)))).forms
    )
    return KeywordQuery(_words(query, held), phrases, _identifiers(query))


def _identifiers(query: str) -> tuple[str, ...]:
    """Letters and digits joined by a mark: what is kept whole beside its parts, and is neither a date nor a phrase."""
    wholes = (token.term for token in analyse(query, None) if token.extra and len(token.term) >= _SHORTEST_IDENTIFIER)
    return tuple(dict.fromkeys(term for term in wholes if _names_one_thing(term)))[:_MOST_IDENTIFIERS]


def _names_one_thing(term: str) -> bool:
    return any(c.isdecimal() for c in term) and any(c.isalpha() for c in term)


def _forms(quoted: str, languages: Sequence[str | None]) -> Iterable[PhraseForm]:
    forms: dict[PhraseForm, None] = {}
    for language in languages:
        tokens = analyse(quoted, language)
        row = tuple(token.term for token in tokens if not token.extra)
        extras = tuple(dict.fromkeys(token.term for token in tokens if token.extra and len(token.term) > 1))
        if row:
            forms[PhraseForm(row, extras)] = None
    return forms


def _words(query: str, languages: Sequence[str | None]) -> tuple[tuple[str, ...], ...]:
    """The words of the question without its function words, unless it has no others."""
    plain = _wanted(analyse(query, None))
    stop = _stop_words(query, languages)
    by_language = [[token.term for token in _wanted(analyse(query, language))] for language in languages]
    words = [tuple(dict.fromkeys(forms)) for forms in zip(*by_language, strict=True)]
    telling = [word for word, token in zip(words, plain, strict=True) if token.extra or token.term not in stop]
    return tuple(dict.fromkeys(telling or words))


def _wanted(tokens: Sequence[Token]) -> list[Token]:
    """Single characters under bigrams help a passage to be found by one of them; asked for, they are noise."""
    return [token for token in tokens if not (token.extra and len(token.term) == 1)]


def _stop_words(query: str, languages: Sequence[str | None]) -> frozenset[str]:
    known = [language for language in languages if language in FUNCTION_WORDS]
    detected = detect_language(query)
    if detected in known or (detected in FUNCTION_WORDS and not known):
        known = [detected]
    if not known:
        return frozenset()
    # A word is dropped only when no language of the index gives it another sense ("die hard"), and never when it is
    # written as an acronym (IT, US, WHO).
    acronyms = () if query.isupper() else _ACRONYM.findall(query)
    return frozenset.intersection(*map(_folded_function_words, known)) - {normalise(word) for word in acronyms}


@lru_cache(maxsize=64)
def _folded_function_words(language: str) -> frozenset[str]:
    return frozenset(map(fold_accents, FUNCTION_WORDS[language]))
