"""Which passages a language model is shown, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragindex_core.answer.passages import Passage
from ragindex_core.chunking.sentences import sentences
from ragindex_core.chunking.tokens import EstimatingTokenizer, counts
from ragindex_core.document import Span
from ragindex_core.ports import Tokenizer

#: What a passage costs beside its text: its marker, title and headings.
OVERHEAD_TOKENS = 40
_ESTIMATE = EstimatingTokenizer()


def select_context(passages: Sequence[Passage], token_budget: int, tokenizer: Tokenizer = _ESTIMATE) -> list[Passage]:
    """The best passages that fit, in their order and marked anew from 1.

    What another passage already shows is left out. One that is too long is passed over for shorter ones behind it,
    except for the first, of which as many sentences are taken as fit.
    """
    chosen: list[Passage] = []
    left = token_budget
    for passage, tokens in zip(passages, counts([each.text for each in passages], tokenizer), strict=True):
        if any(_shows(each, passage) for each in chosen):
            continue
        if tokens + OVERHEAD_TOKENS <= left:
            chosen.append(replace(passage, marker=len(chosen) + 1))
            left -= tokens + OVERHEAD_TOKENS
        elif not chosen and (short := _shortened(passage, left - OVERHEAD_TOKENS, tokenizer)) is not None:
            chosen.append(replace(short, marker=1))
            left = 0
    return chosen


def _shows(chosen: Passage, passage: Passage) -> bool:
    same = (chosen.index, chosen.document.id, chosen.document.version)
    return (
        same == (passage.index, passage.document.id, passage.document.version)
        and chosen.span.start <= passage.span.start
        and passage.span.end <= chosen.span.end
    )


def _shortened(passage: Passage, budget: int, tokenizer: Tokenizer) -> Passage | None:
    ends = [sentence.end for sentence in sentences(passage.text)]
    start = len(passage.text) - len(passage.text.lstrip())
    fitting = [
        end
        for end, tokens in zip(ends, counts([passage.text[start:end] for end in ends], tokenizer), strict=True)
        if tokens <= budget
    ]
    if not fitting:
        return None
    part = Span(passage.span.start + start, passage.span.start + max(fitting))
    return replace(passage, span=part, text=passage.text[start : max(fitting)])
