"""The answer without a language model: the passages' own sentences, each with its marker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragindex_core.answer.matching import Wording, quotable, terms_of
from ragindex_core.answer.passages import Citation, Passage, as_prose, cite
from ragindex_core.document import Span

_RANK_SHARE = 0.4  # what the search's own order counts beside the words: it knows of meaning, words do not
_WORTH_A_SENTENCE = 0.1  # of the question: less that is new does not lengthen the answer


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    passage: int
    part: int
    span: Span
    terms: frozenset[str]
    prior: float


def extract(question: Wording, passages: Sequence[Passage], max_sentences: int = 3) -> ExtractiveAnswer:
    """The one to three sentences that cover most of the question, in the order of the passages."""
    candidates = _candidates(passages)
    chosen: list[_Candidate] = []
    held: frozenset[tuple[str, ...]] = frozenset()
    while candidates and len(chosen) < max_sentences:
        best = max(candidates, key=lambda each: question.covered(each.terms, held) + each.prior)
        if chosen and question.covered(best.terms, held) < _WORTH_A_SENTENCE:
            break
        chosen.append(best)
        held |= question.words_in(best.terms)
        candidates = [each for each in candidates if each is not best]
    citations = [cite(passages[at], span) for at, span in _quotes(chosen)]
    return ExtractiveAnswer(" ".join(f"{as_prose(each.quote)} [{each.marker}]" for each in citations), tuple(citations))


def _candidates(passages: Sequence[Passage]) -> list[_Candidate]:
    scores = [passage.score for passage in passages]
    least, spread = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    # What a section is about is said in its headings, seldom again in its sentences.
    headed = [terms_of(" ".join((*p.headings, p.document.title or "")), p.language) for p in passages]
    return [
        _Candidate(
            at,
            part,
            span,
            terms_of(span.of(passage.text), passage.language) | under,
            _RANK_SHARE * ((passage.score - least) / spread if spread > 0 else 1.0),
        )
        for at, (passage, under) in enumerate(zip(passages, headed, strict=True))
        for part, span in enumerate(quotable(passage))
    ]


def _quotes(chosen: list[_Candidate]) -> list[tuple[int, Span]]:
    """The chosen sentences in reading order, neighbours as one quote."""
    quotes: list[tuple[int, Span]] = []
    before: _Candidate | None = None
    for each in sorted(chosen, key=lambda candidate: (candidate.passage, candidate.part)):
        if before is not None and (before.passage, before.part + 1) == (each.passage, each.part):
            quotes[-1] = (each.passage, Span(quotes[-1][1].start, each.span.end))
        else:
            quotes.append((each.passage, each.span))
        before = each
    return quotes
