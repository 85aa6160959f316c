"""Questions and judgements in the files that retrieval benchmarks use.

- queries: JSON Lines of ``{"id": …, "text": …}``; other members are passed over.
- qrels: lines of query, document and grade, between tabs; a first line that is no judgement is a heading.
- spans: JSON Lines of ``{"query": …, "doc": …, "start": …, "end": …}``, code points of the document's text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragindex_core.document import Span
from ragindex_core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """Only questions that something is known about."""

    questions: Sequence[Question]
    grades: Mapping[str, Mapping[str, int]]  # by question, by document
    spans: Mapping[str, Mapping[str, Sequence[Span]]] = field(default_factory=dict)


def read_task(queries: Path, qrels: Path, spans: Path | None = None) -> Task:
    grades = _read_qrels(qrels)
    wanted = _read_spans(spans) if spans is not None else {}
    questions = [
        Question(str(each["id"]), str(each["text"]))
        for each in _records(queries, ("id", "text"))
        if str(each["id"]) in grades or str(each["id"]) in wanted
    ]
    if not questions:
        raise InvalidInput.field(str(queries), f"has no question that {qrels} judges")
    return Task(questions, grades, wanted)


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split("\t")
        if len(cells) == 4:  # the TREC form has an unused second column
            del cells[1]
        if len(cells) != 3:
            raise InvalidInput.field(f"{path}:{number}", "must be query, document and grade, between tabs")
        try:
            grade = int(cells[2])
        except ValueError:
            if number == 1:
                continue
            raise InvalidInput.field(f"{path}:{number}", f"the grade must be a whole number, not {cells[2]}") from None
        grades[cells[0]][cells[1]] = grade
    return dict(grades)


def _read_spans(path: Path) -> dict[str, dict[str, list[Span]]]:
    spans: dict[str, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for each in _records(path, ("query", "doc", "start", "end")):
        spans[str(each["query"])][str(each["doc"])].append(Span(int(each["start"]), int(each["end"])))
    return {query: dict(found) for query, found in spans.items()}


def _records(path: Path, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InvalidInput.field(f"{path}:{number}", f"is not JSON: {error}") from error
        missing = [name for name in needed if not isinstance(record, dict) or name not in record]
        if missing:
            raise InvalidInput.field(f"{path}:{number}", f"has no {', '.join(missing)}")
        yield record


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as opened:
            yield from (line.rstrip("\n") for line in opened if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.field(str(path), f"cannot be read: {error}") from error
