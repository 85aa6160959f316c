"""Lines on a page become paragraphs, tables and headings. Pure: sizes and places in, pieces of text out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

#: How a piece is set: size of its font to the half point, and whether they are bold.
Style = tuple[float, bool]


@dataclass(frozen=True, slots=True)
class Line:
    """One line as PDFium reads it; places in points from the lower left. ``bottom`` and ``right`` are those of its last
    character, which lies lower when a hyphenated word made two lines into one."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    height: float
    size: float
    bold: bool = False

    @property
    def is_row(self) -> bool:
        return _ROW.search(self.text) is not None

    @property
    def is_item(self) -> bool:
        return _BULLET.match(self.text) is not None


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines that belong together."""

    text: str
    lines: int
    style: Style
    is_table: bool = False
    is_item: bool = False

    @property
    def may_be_heading(self) -> bool:
        return (
            not self.is_table
            and not self.is_item
            and self.lines <= _HEADING_LINES
            and len(self.text) <= _HEADING_LENGTH
            and _WORD.search(self.text) is not None
        )


_WORD = re.compile(r"[^\W\d_]{2}")
_AMOUNT = r"(?:[$€£¥(]{0,2}\s?[-–]?\d[\d.,]*\s?[%)]{0,2}|[—–-]|[$€£¥%)])"
_ROW = re.compile(rf"(?:^|\s){_AMOUNT}(?:\s+{_AMOUNT})+\s*$")
_BULLET = re.compile(r"[•‣▪▫◦●○■□➢✓\uf0b7\u2043-]\s")
_NUMBERED = re.compile(
    r"(?:(?:Item|Note|Section|Article|Part|Chapter)\s\w{1,4}[.:]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\d{1,2}(?:\.\d{1,2}){1,4}\.?|§+\s?\d+)\s"
)
_SENTENCE_END = re.compile(r"[.!?:;。！？][\"'”’)\]]*$")
_NO_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")  # scripts that put none between words

_ROWS_OF_A_TABLE = 3
_LABELS_BETWEEN_ROWS = 2
_LABEL_LENGTH = 80
_HEADING_LENGTH = 200
_HEADING_LINES = 3
_LARGER = 1.15
_BOLD_AT_LEAST = 0.85  # of the body: what is set smaller labels figures and columns
_LEVELS = 6


def pieces(lines: Iterable[Line]) -> list[Piece]:
    """The pieces of one page, in reading order."""
    page = list(lines)
    pitch = _pitch(page)
    right = max((line.right for line in page), default=0.0)
    found: list[Piece] = []
    group: list[Line] = []
    at = 0
    while at < len(page):
        end = _end_of_table(page, at)
        if end > at or (group and _breaks(group, page[at], pitch)):
            if group:
                found.append(_paragraph(group, right))
            group = []
        if end > at:
            found.append(_table(page[at:end]))
            at = end
        else:
            group.append(page[at])
            at += 1
    if group:
        found.append(_paragraph(group, right))
    return found


def heading_levels(found: Sequence[Piece]) -> Mapping[Style, int]:
    """Which styles are those of headings, and of which level: larger than the body, then bold at about its size.

    A style that is mostly used for longer text is no heading's.
    """
    sizes, styles, headings = Counter[float](), Counter[Style](), Counter[Style]()
    for piece in found:
        sizes[piece.style[0]] += len(piece.text)
        styles[piece.style] += len(piece.text)
        if piece.may_be_heading:
            headings[piece.style] += len(piece.text)
    if not sizes:
        return {}
    body = max(sizes, key=lambda size: sizes[size])
    short = {style for style, length in headings.items() if length * 2 > styles[style]}
    larger = sorted({size for size, _ in short if size >= body * _LARGER}, reverse=True)
    bold = sorted(
        {size for size, bold in short if bold and body * _BOLD_AT_LEAST <= size < body * _LARGER}, reverse=True
    )
    levels: dict[Style, int] = {}
    for style in short:
        if style[0] in larger:
            levels[style] = min(larger.index(style[0]) + 1, _LEVELS)
        elif style[1] and style[0] in bold:
            levels[style] = min(len(larger) + bold.index(style[0]) + 1, _LEVELS)
    return levels


def _pitch(page: Sequence[Line]) -> float:
    """The usual distance from one line to the next on this page."""
    steps = [a.top - b.top for a, b in pairwise(page) if 0 < a.top - b.top < 4 * a.height]
    return median(steps) if steps else 0.0


def _same_row(a: Line, b: Line) -> bool:
    return abs(a.bottom - b.bottom) < 0.3 * max(a.height, 1.0) and b.left >= a.right - 1


def _breaks(group: Sequence[Line], line: Line, pitch: float) -> bool:
    """Whether ``line`` begins something new after the lines of ``group``."""
    before = group[-1]
    if _same_row(before, line):
        return False
    if before.bold != line.bold and (_stands_alone(before) or _stands_alone(line)):
        return True
    ratio = line.size / before.size if before.size else 1.0
    if not 1 / _LARGER < ratio < _LARGER:
        return True
    if line.top > before.top + 0.5 * before.height:
        return True  # up again: the next column
    step = before.bottom - line.bottom
    if pitch and step > 1.35 * pitch:
        return True
    if _BULLET.match(line.text) or _NUMBERED.match(line.text):
        return True
    width = max(a.right for a in group) - min(a.left for a in group)
    ended_early = max(a.right for a in group) - before.right > 0.15 * width
    return ended_early and len(group) > 1 and _SENTENCE_END.search(before.text) is not None


def _stands_alone(line: Line) -> bool:
    return line.bold and len(line.text) <= _HEADING_LENGTH


def _end_of_table(page: Sequence[Line], at: int) -> int:
    """Where the table that begins at this line ends; ``at`` itself when none does."""
    if not page[at].is_row:
        return at
    rows, end, labels, number = 0, at, 0, at
    while number < len(page):
        line = page[number]
        if line.is_row:
            rows, labels, end = rows + 1, 0, number + 1
        elif len(line.text) <= _LABEL_LENGTH and labels < _LABELS_BETWEEN_ROWS:
            labels += 1
        else:
            break
        number += 1
    return end if rows >= _ROWS_OF_A_TABLE else at


def _table(lines: Sequence[Line]) -> Piece:
    return Piece("\n".join(line.text for line in lines), len(lines), _style(lines), is_table=True)


def _paragraph(lines: Sequence[Line], right: float) -> Piece:
    """The lines of a paragraph run on where a line was full; where it ended early, the break was meant."""
    text = lines[0].text
    edge = max(line.right for line in lines)
    width = edge - min(line.left for line in lines)
    for before, line in pairwise(lines):
        full = edge - before.right <= 0.25 * width and (len(lines) > 2 or right - before.right <= 0.25 * right)
        runs_on = full and not _looks_ended(before.text, line.text)
        text += _joint(before.text, line.text) if runs_on or _same_row(before, line) else "\n"
        text += line.text
    return Piece(text, len(lines), _style(lines), is_item=lines[0].is_item)


def _looks_ended(before: str, after: str) -> bool:
    """Entries of a list or table often fill the line: no small letter or mark leads on from one to the next."""
    leads_on = before[-1].isalpha() and not before[-1].isupper()  # scripts without case included
    begins = after[0].isupper() or not after[0].isalpha()
    return begins and not leads_on and before[-1] not in ",;.–—-&(/'’”"


def _joint(before: str, after: str) -> str:
    return "" if _NO_SPACES.match(before[-1]) and _NO_SPACES.match(after[0]) else " "


def _style(lines: Sequence[Line]) -> Style:
    return (round(lines[0].size * 2) / 2, all(line.bold for line in lines))
