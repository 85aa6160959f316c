"""WebVTT and SubRip transcripts: each cue a block of speech that knows when it was said, and by whom if it says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from ragindex_core.document import BlockKind, Location, ParsedDocument
from ragindex_worker.parsing.builder import About, TextBuilder, one_line
from ragindex_worker.parsing.limits import ParseLimits

_MOMENT = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_MOMENT}[ \t]*-->[ \t]*{_MOMENT}(?:[ \t].*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^<>]+)>")
_TAG = re.compile(r"</?[a-zA-Z0-9][^<>]*>|\{\\[^{}]*\}")
_SPEAKER = re.compile(r"([A-ZÀ-ÞЀ-Я][\w .'’-]{0,39}):\s+(?=\S)")
_OFTEN = 2  # a name that opens several cues is a speaker; one that opens a single cue may be anything
_BLANK = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class _Cue:
    start_ms: int
    end_ms: int
    text: str
    voice: str | None


def parse(text: str, limits: ParseLimits) -> ParsedDocument:
    cues = list(_cues(text))
    prefixes = Counter(match[1] for cue in cues if (match := _SPEAKER.match(cue.text)))
    out = TextBuilder(limits.max_characters)
    for cue in cues:
        prefix = _SPEAKER.match(cue.text)
        speaker = cue.voice
        if speaker is None and prefix is not None and prefixes[prefix[1]] >= _OFTEN:
            speaker = prefix[1]
        out.add(BlockKind.SPEECH, cue.text, Location(start_ms=cue.start_ms, end_ms=cue.end_ms, speaker=speaker))
    if text.startswith("WEBVTT"):
        return out.document(About("text/vtt", "vtt/1"))
    return out.document(About("application/x-subrip", "srt/1"))


def _cues(text: str) -> Iterator[_Cue]:
    for paragraph in _BLANK.split(text):
        lines = [line for line in paragraph.split("\n") if line.strip()]
        for number, line in enumerate(lines[:2]):  # the timing comes first, or after the cue's own number or name
            timing = _TIMING.fullmatch(line)
            if timing:
                payload = "\n".join(lines[number + 1 :])
                voice = _VOICE.search(payload)
                yield _Cue(
                    start_ms=_milliseconds(timing, 1),
                    end_ms=_milliseconds(timing, 5),
                    text=unescape(_TAG.sub("", payload)).strip(),
                    voice=one_line(unescape(voice[1])) if voice else None,
                )
                break


def _milliseconds(timing: re.Match[str], group: int) -> int:
    hours, minutes, seconds, fraction = (timing[group + i] or "0" for i in range(4))
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))
