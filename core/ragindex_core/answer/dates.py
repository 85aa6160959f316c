"""Dates as terms of their own, so that "8 May" finds 2026-05-08 and 08.05.2026, and not every 8."""

from __future__ import annotations

import re

_MONTHS = (
    "january jan januar jänner janner",
    "february feb februar",
    "march mar märz maerz marz",
    "april apr",
    "may mai",
    "june jun juni",
    "july jul juli",
    "august aug",
    "september sept sep",
    "october oct oktober okt",
    "november nov",
    "december dec dezember dez",
)
_NUMBER_OF = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}
_MONTH = rf"(?P<month>(?:{'|'.join(sorted(_NUMBER_OF, key=len, reverse=True))})\b)"
_DAY = r"\b(?P<day>[0-3]?[0-9])(?:st|nd|rd|th|\.)?"
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)[0-9]{2})\b)?"
_PATTERNS = (
    re.compile(r"\b(?P<year>(?:19|20)[0-9]{2})-(?P<month>[01][0-9])-(?P<day>[0-3][0-9])\b"),
    re.compile(r"\b(?P<day>[0-3]?[0-9])\.(?P<month>[01]?[0-9])\.(?:(?P<year>(?:19|20)[0-9]{2})\b)?"),
    re.compile(rf"{_DAY}\s+(?:of\s+)?{_MONTH}\.?{_YEAR}", re.IGNORECASE),
    # "may 8" may be a verb and a number: here the month has its capital letter.
    re.compile(
        rf"\b(?-i:(?=[A-ZÄ])){_MONTH}\.?\s+(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?\b(?!\s*[.,:]?[0-9]){_YEAR}",
        re.IGNORECASE,
    ),
)


def date_terms(text: str) -> frozenset[str]:
    """What a text's dates can be asked by: with their year and without."""
    terms: set[str] = set()
    for day, year in _dates(text)[0]:
        terms |= {f"@{day}", f"@{year}-{day}" if year else f"@any-{day}"}
    return frozenset(terms)


def asked_dates(text: str) -> tuple[list[tuple[str, ...]], str]:
    """The dates of a question, each with the terms it can stand as, and the question without them."""
    dates, rest = _dates(text)
    return [(f"@{year}-{day}", f"@any-{day}") if year else (f"@{day}",) for day, year in dates], rest


def _dates(text: str) -> tuple[list[tuple[str, str | None]], str]:
    if not any(character.isdigit() for character in text):
        return [], text
    found: list[tuple[str, str | None]] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            named = match["month"]
            month = int(named) if named.isdigit() else _NUMBER_OF[named.casefold()]
            day = int(match["day"])
            if 1 <= month <= 12 and 1 <= day <= 31:
                found.append((f"{month:02}-{day:02}", match["year"]))
                blank = " " * (match.end() - match.start())
                text = text[: match.start()] + blank + text[match.end() :]
    return list(dict.fromkeys(found)), text
