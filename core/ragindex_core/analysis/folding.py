"""Makes equal what a reader takes for the same word: compatibility forms, case, accents, invisible characters."""

from __future__ import annotations

import unicodedata

# Soft hyphens, zero-width characters and direction marks are left in text by layout; Arabic and Hebrew vowel points
# and the tatweel are optional in writing. None of them tells one word from another.
_INVISIBLE = (
    *(0xAD, 0x34F, 0x640, 0x670, 0x2060, 0xFEFF),
    *(*range(0x200B, 0x2010), *range(0x202A, 0x202F)),
    *(*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7),
    *(*range(0x610, 0x61B), *range(0x64B, 0x660), *range(0x6D6, 0x6DD), *range(0xFE00, 0xFE10)),
)
_TIDY: dict[int, str | None] = {
    **dict.fromkeys(_INVISIBLE),
    **dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2212], "-"),
    **dict.fromkeys([0x2018, 0x2019, 0x201B, 0x2BC, 0x60], "'"),
    **dict.fromkeys([0x622, 0x623, 0x625], "\u0627"),  # alef, with whatever stands on or below it
    0x624: "\u0648",
    0x626: "\u064a",
}

# Letters that Unicode does not take apart into a base and an accent.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ё": "е"}
)
_ACCENTS = range(0x300, 0x370)


def normalise(text: str) -> str:
    """``text`` in compatibility form and folded case; accents stay, because stemmers know them."""
    if text.isascii():
        return text.lower()
    # An acute accent alone is typed for an apostrophe; its compatibility form would begin with a space.
    composed = unicodedata.normalize("NFKC", text.replace("´", "'")).casefold()
    return unicodedata.normalize("NFKC", composed).translate(_TIDY)


def fold_accents(term: str) -> str:
    """``term`` without the accents that people leave out when they type.

    Only of Latin and Greek letters: elsewhere a mark makes another letter (й, が).
    """
    if term.isascii():
        return term
    folded: list[str] = []
    accents_fall = False
    for character in unicodedata.normalize("NFD", term.translate(_LETTERS)):
        if ord(character) in _ACCENTS:
            if accents_fall:
                continue
        else:
            accents_fall = character < "\u0400" or "\u1e00" <= character < "\u2000"
        folded.append(character)
    return unicodedata.normalize("NFC", "".join(folded))
