"""The gate between a language model's words and the reader: no marker passes that points at nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ragindex_core.answer.citations import citation_for
from ragindex_core.answer.passages import Citation, Passage
from ragindex_core.chunking.sentences import sentences
from ragindex_core.document import Span

_NUMBER = r"[1-9][0-9]{0,2}"
_ITEM = rf"{_NUMBER}(?:\s*[-–]\s*{_NUMBER})?"
_MARKER = re.compile(rf"[\[【]\s*{_ITEM}(?:\s*[,;，、]\s*{_ITEM})*\s*[\]】]")
_MAY_BECOME_ONE = re.compile(r"[\[【][\s0-9,;，、–-]*")
_LONGEST_MARKER = 64
_PLAIN = re.compile(r"[^\[【\s]+")
_SPACE = re.compile(r"\s+")
_REMEMBERED = 2_000  # characters of the answer among which the sentence that cites is looked for


@dataclass(frozen=True, slots=True)
class AnswerText:
    """Text of the answer that may be shown: every marker in it is verified."""

    text: str


GateEvent: TypeAlias = AnswerText | Citation


class MarkerGate:
    """Lets text through as it streams in, and holds it from a ``[`` on until that is a verified marker or none at all.

    A marker of a passage that was not given is taken out, with the white space before it, and counted in
    ``invented``. Those that stay are numbered anew from 1 as they appear: a reader sees no gaps. What comes out does
    not depend on how the text was divided into deltas.
    """

    def __init__(self, passages: Sequence[Passage], question: str = "") -> None:
        self._passages = {passage.marker: passage for passage in passages}
        self._question = question
        self._held = ""
        self._said = ""
        self._cited: set[tuple[int, Span]] = set()
        self._shown: dict[int, int] = {}
        self.invented = 0

    def feed(self, delta: str) -> list[GateEvent]:
        self._held += delta
        return _joined(self._pass(final=False))

    def close(self) -> list[GateEvent]:
        """What was still held when the model stopped."""
        return _joined(self._pass(final=True))

    def _pass(self, *, final: bool) -> Iterator[GateEvent]:
        at, held = 0, self._held
        while at < len(held):
            space = _SPACE.match(held, at)
            begin = space.end() if space else at
            if begin == len(held) and not final:
                break  # a removed marker takes the white space before it along
            if begin < len(held) and held[begin] in "[【":
                marker = _MARKER.match(held, begin, begin + _LONGEST_MARKER)
                if marker is not None:
                    yield from self._verified(held[at:begin], marker[0])
                    at = marker.end()
                    continue
                if not final and len(held) - begin < _LONGEST_MARKER and _MAY_BECOME_ONE.fullmatch(held, begin):
                    break
                end = begin + 1
            else:
                plain = _PLAIN.match(held, begin)
                end = plain.end() if plain else begin
            yield self._say(held[at:end])
            at = end
        self._held = held[at:]

    def _verified(self, space: str, marker: str) -> Iterator[GateEvent]:
        numbers = _numbers(marker)
        given = [number for number in numbers if number in self._passages]
        self.invented += len(numbers) - len(given)
        if not given:
            return
        if space:
            yield self._say(space)
        statement = self._statement()
        for number in given:
            shown = self._shown.setdefault(number, len(self._shown) + 1)
            yield AnswerText(f"[{shown}]")
            citation = citation_for(statement, self._passages[number], self._question)
            if (number, citation.span) not in self._cited:
                self._cited.add((number, citation.span))
                yield replace(citation, marker=shown)

    def _say(self, text: str) -> AnswerText:
        self._said = (self._said + text)[-_REMEMBERED:]
        return AnswerText(text)

    def _statement(self) -> str:
        """The sentence that a marker stands in or behind."""
        found = sentences(self._said)
        return found[-1].of(self._said) if found else ""


def _numbers(marker: str) -> list[int]:
    """The passages a marker names, each once: ``[1, 3-5]`` names four."""
    numbers: dict[int, None] = {}
    for first, last in re.findall(rf"({_NUMBER})(?:\s*[-–]\s*({_NUMBER}))?", marker):
        numbers.update(dict.fromkeys(range(int(first), int(last or first) + 1)))
    return list(numbers)


def _joined(events: Iterator[GateEvent]) -> list[GateEvent]:
    """Neighbouring texts as one event."""
    found: list[GateEvent] = []
    for event in events:
        if isinstance(event, AnswerText) and found and isinstance(found[-1], AnswerText):
            found[-1] = AnswerText(found[-1].text + event.text)
        else:
            found.append(event)
    return found
