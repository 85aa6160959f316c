"""The answer without a language model: the passages' own sentences, rows and lists, each with its marker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragindex_core.answer.matching import Wording, terms_of
from ragindex_core.answer.parts import QUOTE_CHARACTERS, Kind, Part, is_step, leads_on, quotable, said
from ragindex_core.answer.passages import Citation, Passage, cite
from ragindex_core.answer.tables import numbers_between
from ragindex_core.document import Span

_RANK_SHARE = 0.4  # what the search's own order counts beside the words: it knows of meaning, words do not
_ABOVE_SHARE = 0.9  # what a word of the question counts when it only stands above: in a heading or a table's header
_FIGURE_SHARE = 0.1  # for a figure, where one is asked for
_TOGETHER_SHARE = 0.08  # for words that stand together in the question and here
_ALIKE_SHARE = 0.05  # for the small words, which tell "other parent" from "birth parent"
_LEADING_SHARE = 0.1  # for the first words below a heading that is asked for
# Of the question: less that is new does not lengthen the answer; more is asked of another passage than of the same.
_WORTH_A_SENTENCE, _WORTH_A_PASSAGE = 0.1, 0.15
_ABOUT = 0.5  # of the question: what another passage's part has to hold in all, not to be about something else
_NEAR = 0.6  # of the best passage's score: what is found further down does not lengthen the answer
_MOST_TIED_ROWS = 3

_ASKS_FOR_A_FIGURE = re.compile(
    r"\bhow (?:many|much|long|often|far|high|large|big|old|fast|tall|soon|late|early)\b|\bwhen\b|\bby when\b"
    r"|\b(?:at|in|on) (?:what|which) (?:time|date|day|year|age)\b|\bwhat (?:year|percentage|number|amount)\b"
    r"|\b(?:length|rate|price|limit|minimum|maximum)\b"
    r"|\bwie ?(?:viel|viele|vielen|hoch|lange|lang|oft|weit|groß|alt|spät)\b|\b(?:seit|bis|ab)? ?wann\b"
    r"|多少|几|何时|哪一?年|什么时候",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|third|fourth|fifth|sixth|tenth|twenty|thirty|forty|fifty|sixty|seventy"
    r"|eighty|ninety|hundred|thousand|million|half|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|zwanzig"
    r"|dreißig|hundert|tausend|millionen)\b|[一二三四五六七八九十百千万两]",
    re.IGNORECASE,
)
_ASKS_WHAT_TO_DO = re.compile(
    r"\bwhat (?:should|must|do|can|shall) (?:i|we|you|one)\b(?: \w+)? ?do\b|\bwhat to do\b"
    r"|\bhow (?:do|can|should|must) (?:i|we|you)\b"
    r"|\bsteps\b|\bwas (?:soll|muss|kann|mache|tue)\b.*\b(?:ich|man|wir)\b"
    r"|\bwie (?:kann|muss|soll)\b.*\b(?:ich|man|wir)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？؟][\"'”’»)*_]*$")


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One part of a passage. ``own`` are its terms, ``above`` those of the headings and the header over it."""

    passage: int
    at: int
    part: Part
    own: frozenset[str]
    above: frozenset[str]
    prior: float
    leading: bool

    @property
    def terms(self) -> frozenset[str]:
        return self.own | self.above


@dataclass(frozen=True, slots=True)
class _Quote:
    passage: int
    first: int
    last: int
    span: Span


def extract(question: Wording, passages: Sequence[Passage], max_sentences: int = 3) -> ExtractiveAnswer:
    """What covers most of the question, as a rule one sentence or row; more only for what that leaves open.

    Its markers count from 1, the passage of the best first.
    """
    parts = [quotable(passage) for passage in passages]
    candidates = _candidates(passages, parts)
    quotes: list[_Quote] = []
    held: frozenset[tuple[str, ...]] = frozenset()
    scored = [(_score(question, each, passages), each) for each in candidates]
    while scored and len(quotes) < max_sentences:
        if not quotes:
            best = max(scored, key=lambda each: each[0])[1]
            found = _first(question, best, candidates, parts[best.passage], passages)
            held |= question.words_in(best.terms)
        else:
            further = [
                each
                for _, each in scored
                if question.covered(each.own, held) >= _worth(question, each, quotes, passages)
            ]
            if not further:
                break
            best = max(further, key=lambda each: question.covered(each.own, held) + each.prior)
            found = [_complete(best.passage, best.at, parts[best.passage], passages[best.passage])]
            held |= question.words_in(best.terms)
        quotes += found
        scored = [(score, each) for score, each in scored if not _quoted(each, quotes)]
    return _answer(quotes[:max_sentences], parts, passages)


def _candidates(passages: Sequence[Passage], parts: Sequence[Sequence[Part]]) -> list[_Candidate]:
    scores = [passage.score for passage in passages]
    least, spread = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    found = []
    for at, passage in enumerate(passages):
        # What a section is about is said in its headings, seldom again in its sentences.
        headed = terms_of(" ".join((*passage.headings, passage.document.title or "")), passage.language)
        prior = _RANK_SHARE * ((passage.score - least) / spread if spread > 0 else 1.0)
        headers: dict[str, frozenset[str]] = {}
        for number, part in enumerate(parts[at]):
            text = part.span.of(passage.text)
            over = f"{part.heading}\n{part.header.of(passage.text) if part.header else ''}"
            if over not in headers:
                headers[over] = headed | terms_of(over, passage.language)
            own = terms_of(text, passage.language)
            if part.kind is Kind.ROW:
                own |= numbers_between(text)
            leading = number == 0 or (part.heading != parts[at][number - 1].heading)
            found.append(_Candidate(at, number, part, own, headers[over], prior, leading))
    return found


def _score(question: Wording, each: _Candidate, passages: Sequence[Passage]) -> float:
    own, passage = question.words_in(each.own), passages[each.passage]
    text = each.part.span.of(passage.text)
    above_share, alike, row = _ABOVE_SHARE, each.own, text
    if each.part.header is not None:  # the names of its columns are as much of a row as its cells
        above_share, alike = 1.0, each.terms
        row = f"{each.part.header.of(passage.text)}\n{text}"
    score = question.covered(each.own) + above_share * question.covered(each.above, own) + each.prior
    score += _TOGETHER_SHARE * question.together(row, passage.language) + _ALIKE_SHARE * question.alike(alike)
    if _ASKS_FOR_A_FIGURE.search(question.text) and _FIGURE.search(text):
        score += _FIGURE_SHARE
    return score + (_LEADING_SHARE if each.leading and question.words_in(each.above) else 0.0)


def _first(
    question: Wording,
    best: _Candidate,
    candidates: Sequence[_Candidate],
    parts: Sequence[Part],
    passages: Sequence[Passage],
) -> list[_Quote]:
    """The quotes that the best part stands for: itself, its list or table, or the rows that say as much."""
    text = passages[best.passage].text
    if (
        best.part.group >= 0
        and not question.words_in(best.own)
        and (whole := _group(best.passage, best.at, parts, text)) is not None
    ):
        return [whole]
    if best.part.kind is Kind.ROW:
        words = question.words_in(best.own)
        tied = [
            each
            for each in candidates
            if (each.passage, each.part.group) == (best.passage, best.part.group)
            and question.words_in(each.own) == words
            and question.alike(each.own) >= question.alike(best.own)
        ]
        rows = tied if len(tied) <= _MOST_TIED_ROWS else [best]
        return [_Quote(best.passage, each.at, each.at, each.part.span) for each in rows]
    quote = _complete(best.passage, best.at, parts, passages[best.passage])
    if quote.first == quote.last and _ASKS_WHAT_TO_DO.search(question.text):
        steps = next((at for at, part in enumerate(parts) if is_step(part.span.of(text))), None)
        if steps is not None and (whole := _group(best.passage, steps, parts, text)) is not None:
            inside = whole.first <= best.at <= whole.last
            return [whole] if inside else [whole, quote]
    return [quote]


def _complete(passage: int, at: int, parts: Sequence[Part], source: Passage) -> _Quote:
    """A part with what it needs to be understood: a question its answer, an introduction what it introduces."""
    text, part = source.text, parts[at]
    last = at
    if part.kind is not Kind.ROW and leads_on(part.span.of(text)):
        if at + 1 < len(parts) and parts[at + 1].group >= 0 and (whole := _group(passage, at + 1, parts, text)):
            return whole
        last = min(at + 1, len(parts) - 1)
    elif part.kind is Kind.SENTENCE and _ASKS.search(part.span.of(text)):
        while last + 1 < len(parts) and last - at < 2:
            last += 1
            if len(parts[last].span) > 20:
                break
    while parts[last].span.end - part.span.start > QUOTE_CHARACTERS:
        last -= 1
    return _Quote(passage, at, last, Span(part.span.start, parts[last].span.end))


def _group(passage: int, at: int, parts: Sequence[Part], text: str) -> _Quote | None:
    """The list or table of a part in one quote, with its introduction or header, as far as it fits."""
    group = parts[at].group
    members = [number for number, part in enumerate(parts) if part.group == group]
    first, last = members[0], members[-1]
    header = parts[first].header
    start = header.start if header else parts[first].span.start
    if first and parts[first].kind is Kind.ITEM and leads_on(parts[first - 1].span.of(text)):
        first -= 1
        start = parts[first].span.start
    while last >= first and parts[last].span.end - start > QUOTE_CHARACTERS:
        last -= 1
    return _Quote(passage, first, last, Span(start, parts[last].span.end)) if last >= max(first, at) else None


def _worth(question: Wording, each: _Candidate, quotes: Sequence[_Quote], passages: Sequence[Passage]) -> float:
    """How much of the question a further part has to add."""
    if any(quote.passage == each.passage for quote in quotes):
        return _WORTH_A_SENTENCE
    near = passages[each.passage].score >= _NEAR * max(passage.score for passage in passages)
    return _WORTH_A_PASSAGE if near and question.covered(each.terms) >= _ABOUT else 2.0


def _quoted(each: _Candidate, quotes: Sequence[_Quote]) -> bool:
    return any(quote.passage == each.passage and quote.first <= each.at <= quote.last for quote in quotes)


def _answer(quotes: Sequence[_Quote], parts: Sequence[Sequence[Part]], passages: Sequence[Passage]) -> ExtractiveAnswer:
    """The quotes by passage in the order they were chosen, inside a passage in reading order, neighbours as one."""
    order = list(dict.fromkeys(quote.passage for quote in quotes))
    joined: list[_Quote] = []
    for quote in sorted(quotes, key=lambda each: (order.index(each.passage), each.first)):
        before = joined[-1] if joined else None
        if (
            before is not None
            and before.passage == quote.passage
            and (
                quote.first <= before.last
                or (quote.first == before.last + 1 and parts[quote.passage][quote.first].kind is not Kind.ROW)
            )
        ):
            span = Span(before.span.start, max(before.span.end, quote.span.end))
            joined[-1] = replace(before, last=max(before.last, quote.last), span=span)
        else:
            joined.append(quote)
    citations, words = [], []
    for quote in joined:
        marker, passage = order.index(quote.passage) + 1, passages[quote.passage]
        citations.append(replace(cite(passage, quote.span), marker=marker))
        words.append(f"{said(parts[quote.passage][quote.first : quote.last + 1], passage.text)} [{marker}]")
    return ExtractiveAnswer(" ".join(words), tuple(citations))
