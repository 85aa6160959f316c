"""Where sentences end, without a model or a dependency: good enough to cut at, in most written languages.

A full stop ends a sentence when white space follows and it does not belong to an abbreviation, an initial or an
ordinal number; the stops of Chinese, Japanese and others end one wherever they stand. A blank line always does, a
single line break does unless the line looks wrapped. What is found covers all of the text but the white space between.
"""

from __future__ import annotations

import re

from ragindex_core.document import Span

# Possessive, and only from the run's beginning: no text makes this pattern go back and forth.
# A run of stops with the quotes and brackets that close after it, or the line breaks around a gap.
_CANDIDATE = re.compile(
    r"(?P<wide>[。！？｡．]+[”’」』）】》〉\"')\]]*)"
    r"|(?P<stop>(?<![.!?…‽؟۔।॥։።])[.!?…‽؟۔।॥։።]++[”’»\"')\]]*+)(?=\s)"
    r"|(?P<gap>\n\s*)"
)
_LAST_WORD = re.compile(r"(\S+?)\s?$")
_BULLET = re.compile(r"(?:[-*•·–—+]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_OPENERS = "\"'“„‘«»‚([{¿¡*_ "

_ENGLISH = """
    mr mrs ms dr prof rev hon gen col maj capt lt sgt st sr jr messrs mt ft inc ltd co corp llc plc bros dept univ
    assn gov sen rep pres vs etc al ed eds approx appt apt ave blvd rd tel ext e.g i.e cf viz ibid op cit u.s u.k u.n
    e.u d.c ph.d incl excl
"""
_GERMAN = """
    z.b d.h u.a o.ä u.ä i.d.r bzw usw ca evtl ggf inkl exkl vgl bspw sog zzgl abzgl str hr fr hrsg jh jhd mio mrd dipl
    ing geb gest gem allg bzgl engl entspr etw insb mwst ppa s.o s.u tsd u.u usf verf vorm m.e i.v
"""
_ROMANCE_AND_DUTCH = """
    mme mlle mm p.ex c.-à-d sra srta ud uds dña sig sigg dott avv ecc exmo dhr mevr bijv blz enz m.b.t
"""
_ABBREVIATIONS = frozenset((_ENGLISH + _GERMAN + _ROMANCE_AND_DUTCH).split())
# Many of these are words of their own, too: abbreviations only before a number ("no. 5", "Mar. 3", "Abs. 2").
_NUMBERED = """
    no nos nr vol p pp fig figs eq eqs sec ch chap art abs bd bde s núm pág págs min max
    jan feb mar apr jun jul aug sep sept oct nov dec
"""
_BEFORE_NUMBERS = frozenset(_NUMBERED.split())
# Before a number of one or two digits these make it an ordinal: "am 3. Mai", "der 2. Weltkrieg".
_LEADS = """
    am der die das dem den des vom zum zur im bis ab seit beim und oder jeder jede jedes ihr sein le la du og
"""
_ORDINAL_LEADS = frozenset(_LEADS.split())


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences of a text, or of its part from ``start`` to ``end``; offsets are those of the whole text."""
    end = len(text) if end is None else end
    found: list[Span] = []
    begin = start
    for match in _CANDIDATE.finditer(text, start, end):
        if _ends_sentence(text, match, begin, end):
            _keep(text, begin, match.end(), found)
            begin = match.end()
    _keep(text, begin, end, found)
    return found


def trimmed(text: str, start: int, end: int) -> Span | None:
    """The part without white space at its ends; None when nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end) if start < end else None


def _keep(text: str, start: int, end: int, found: list[Span]) -> None:
    if (span := trimmed(text, start, end)) is not None:
        found.append(span)


def _ends_sentence(text: str, match: re.Match[str], begin: int, end: int) -> bool:
    if match["wide"]:
        return True
    if match["gap"]:
        return _line_ends(text, match, begin, end)
    following = _next_letter(text, match.end(), end)
    stop = match["stop"]
    if stop[0] != "." or stop.startswith(".."):
        # "Really?" she asked; and trailing dots that run on.
        return not (following.islower() and (stop[-1] in "\"'”’»" or stop.startswith(("..", "…"))))
    return _full_stop_ends(text, match.start(), stop, begin, following)


def _full_stop_ends(text: str, dot: int, stop: str, begin: int, following: str) -> bool:
    last = _LAST_WORD.search(text, max(begin, dot - 24), dot)
    if last is None:
        return True
    word = last[1].lstrip(_OPENERS)
    bare = word.casefold()
    if bare in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and not _is_ideograph(word)):
        return False
    if bare in _BEFORE_NUMBERS and following.isdigit():
        return False
    if word.isdigit() and len(word) <= 2 and _is_ordinal(text, last.start(1), begin):
        return False
    if not following.islower():
        return True
    # Some texts are all in lower case: a long word, a number, or a closing bracket still ends a sentence there.
    return len(stop) > 1 or len(word) >= 5 or not word[-1:].isalpha()


def _is_ordinal(text: str, number: int, begin: int) -> bool:
    """Whether the number opens its line ("1. Buy milk") or follows a word that makes it an ordinal."""
    before = text[max(begin, number - 12) : number]
    if not before.strip() or before.rstrip(" \t").endswith("\n"):
        return True
    return before.split()[-1].casefold() in _ORDINAL_LEADS


def _line_ends(text: str, match: re.Match[str], begin: int, end: int) -> bool:
    """Whether a line break also ends a sentence: it does unless the line was wrapped to a width."""
    if match["gap"].count("\n") > 1:
        return True
    line_start = max(text.rfind("\n", begin, match.start()) + 1, begin)
    width = match.start() - line_start
    if _BULLET.match(text, match.end(), end):
        return True
    wrapped = 60 <= width <= 100 or _next_letter(text, match.end(), end).islower()
    return not wrapped


def _next_letter(text: str, at: int, end: int) -> str:
    """The first character of what follows, quotes and brackets left out."""
    for position in range(at, min(end, at + 12)):
        if not text[position].isspace() and text[position] not in _OPENERS:
            return text[position]
    return ""


def _is_ideograph(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"
