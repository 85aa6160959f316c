"""The terms of a text, and where they stand.

A text is a running row of terms, one a position: stems of words, bigrams of scripts without spaces. Beside the row
stand extra terms that do not count for its length: identifiers as a whole (``e-4012`` over ``e`` and ``4012``), and
single characters under bigrams, so that a question of one character finds something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import Stemmer

from ragindex_core.analysis.folding import fold_accents, normalise
from ragindex_core.analysis.languages import STEMMERS

#: Raised whenever the same text gives other terms than before: postings made by an older one must be made anew.
ANALYSER_VERSION = 1

#: Longer runs are encoded data, not words; a term is cut here.
MAX_TERM_CHARACTERS = 64

#: Stems kept by language. Beyond this a corpus consists of noise, and starting over costs little.
_CACHED_WORDS = 200_000

# Scripts written without spaces: Han, kana, Hangul, Thai, Lao, Myanmar, Khmer. Hangul has spaces, but its words carry
# their particles with them, which bigrams see through.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1100-\u11ff\u1780-\u17d3\u3005-\u3007\u3040-\u30ff\u3130-\u318f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowel signs and viramas of the Indic scripts and accents without a composed form: inside a word, yet not letters.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a03"
    "\u0a3c-\u0a51\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0bd7\u0c00-\u0c04\u0c3c-\u0c56"
    "\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d\u0d57\u0dca-\u0ddf\u0f71-\u0f84"
)
_JOINTS = r"(?:[-.@'&+]|_++|::?|(?<=[0-9]),(?=[0-9]))"
_TAIL = r"(?:\+\+|#)?"


def _pattern(word: str, *others: str) -> re.Pattern[str]:
    return re.compile("|".join([rf"{word}(?:{_JOINTS}{word})*+{_TAIL}", *others]))


# Possessive quantifiers: no text makes these patterns go back and forth.
_ASCII_TOKEN = _pattern("[a-z0-9]++")
_TOKEN = _pattern(rf"[^\W_{_UNSPACED}{_MARKS}]++(?:[{_MARKS}]++|[^\W_{_UNSPACED}{_MARKS}]++)*+", f"[{_UNSPACED}]++")
_JOINT = re.compile("[-.@'&+#_:,]+")
_FIRST_UNSPACED = re.compile(f"[{_UNSPACED}]")
_GROUPED_NUMBER = re.compile("[0-9]{1,3}(?:,[0-9]{3})+")


class Token(NamedTuple):
    """A term at a position of the text; ``extra`` when it stands beside the running row."""

    term: str
    position: int
    extra: bool = False


class _Terms(NamedTuple):
    """What one run of characters becomes."""

    row: tuple[str, ...]
    extras: tuple[tuple[str, int], ...]  # with the place in ``row`` where each stands


@dataclass(frozen=True, slots=True)
class Analysed:
    """A passage as the keyword arm stores it. ``row`` has None where two texts meet: no phrase reaches across."""

    length: int
    frequencies: dict[str, int]
    row: tuple[str | None, ...]


class _Vocabulary:
    """Remembers what the runs of one language become.

    Several threads may ask at once: each lookup and each store is one step of a dict, a lost one is made again, and a
    stemmer, which must not be shared, lives for one run only.
    """

    def __init__(self, language: str | None) -> None:
        self._algorithm = STEMMERS.get(language) if language else None
        self.known: dict[str, _Terms] = {}

    def terms(self, run: str) -> _Terms:
        known = self.known.get(run)
        if known is None:
            if _FIRST_UNSPACED.match(run):
                return _bigrams(run)  # hardly ever seen twice
            if len(self.known) >= _CACHED_WORDS:
                self.known.clear()
            known = self.known[run] = self._make(run)
        return known

    def _make(self, run: str) -> _Terms:
        if run.isalnum():
            return _Terms((self._stem(run),), ())
        if _GROUPED_NUMBER.fullmatch(run):
            return _Terms((run.replace(",", ""),), ())
        parts = [part for part in _JOINT.split(run) if part]
        if len(parts) > 1 and parts[-1] == "s" and run.endswith("'s"):
            parts.pop()
        row = tuple(self._stem(part) for part in parts)
        whole = _whole(run, parts)
        return _Terms(row, ((whole, 0),) if whole and (whole,) != row else ())

    def _stem(self, word: str) -> str:
        word = word[:MAX_TERM_CHARACTERS]
        if self._algorithm and not any(character.isdecimal() for character in word):
            word = Stemmer.Stemmer(self._algorithm, 0).stemWord(word)
        return fold_accents(word)


def _whole(run: str, parts: Sequence[str]) -> str | None:
    """The identifier that ``run`` is beside its parts, or None when it is only words that were joined."""
    if "'" in run or len(run) > MAX_TERM_CHARACTERS:
        return None
    if "." in run and len(parts) > 2 and all(len(part) == 1 and part.isalpha() for part in parts):
        return "".join(parts)  # U.S.A.
    if any(mark in run for mark in "._@:+#&") or any(c.isdecimal() for c in run) or any(len(p) == 1 for p in parts):
        return fold_accents(run)
    return None


def _bigrams(run: str) -> _Terms:
    if len(run) == 1:
        return _Terms((run,), ())
    row = tuple(run[i : i + 2] for i in range(len(run) - 1))
    return _Terms(row, tuple((character, min(i, len(row) - 1)) for i, character in enumerate(run)))


@lru_cache(maxsize=64)
def _vocabulary(language: str | None) -> _Vocabulary:
    return _Vocabulary(language if language in STEMMERS else None)


def _runs(text: str) -> list[str]:
    normal = normalise(text)
    return (_ASCII_TOKEN if normal.isascii() else _TOKEN).findall(normal)


def analyse(text: str, language: str | None) -> list[Token]:
    """Every term of ``text`` in reading order; ``language`` is ISO 639-1, None when unknown (nothing is stemmed)."""
    vocabulary = _vocabulary(language)
    tokens: list[Token] = []
    position = 0
    for run in _runs(text):
        row, extras = vocabulary.terms(run)
        tokens.extend(Token(term, position + i) for i, term in enumerate(row))
        tokens.extend(Token(term, position + i, extra=True) for term, i in extras)
        position += len(row)
    return tokens


def analyse_chunk(texts: Sequence[str], language: str | None) -> Analysed:
    """The passage made of ``texts`` (its context, then its own words), counted."""
    vocabulary = _vocabulary(language)
    known, make = vocabulary.known.get, vocabulary.terms
    frequencies: Counter[str] = Counter()
    whole_row: list[str | None] = []
    length = 0
    for text in texts:
        row: list[str] = []
        for run in _runs(text):
            of_run, extras = known(run) or make(run)
            row += of_run
            if extras:
                frequencies.update([extra for extra, _ in extras])
        frequencies.update(row)
        length += len(row)
        if row and whole_row:
            whole_row.append(None)
        whole_row += row
    return Analysed(length, dict(frequencies), tuple(whole_row))
