"""Ask every question over REST, and count how much of what should be found was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote

from ragindex_core.document import Span
from ragindex_core.evaluation import character_recall, mean, ndcg, percentile, recall
from ragindex_local.evaluation.data import Question, Task

_SEARCHES_A_REQUEST = 16
_REQUESTS_AT_ONCE = 2


class Service(Protocol):
    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Report:
    """Means over all questions. Times are the service's own, of one search in the database, without the embedding."""

    mode: str
    questions: int
    ndcg: dict[int, float]
    recall: dict[int, float]
    character_recall: dict[int, float]
    p50_ms: float
    p95_ms: float
    degraded: int

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)


def document_name(uri: str) -> str:
    """What judgements call a document: its file's name without folder and suffix."""
    return PurePosixPath(unquote(uri.rpartition("/")[2])).stem


def evaluate(
    service: Service,
    path: str,
    task: Task,
    mode: str,
    *,
    ndcg_at: Sequence[int] = (10,),
    recall_at: Sequence[int] = (10,),
    characters_at: Sequence[int] = (8,),
    advance: Callable[[int], None] = lambda _done: None,
) -> Report:
    """``path`` is the index's. Documents are judged by each one's best passage, characters by the passages."""
    answers: list[dict[str, Any]] = []
    if task.grades:
        wanted = {"mode": mode, "top_k": max([*ndcg_at, *recall_at]), "group_by": "document"}
        answers = list(_asked(service, path, task.questions, wanted, advance))
    passages: list[dict[str, Any]] = []
    if task.spans:
        passages = list(_asked(service, path, task.questions, {"mode": mode, "top_k": max(characters_at)}, advance))
    rankings = [[document_name(each["document"]["uri"]) for each in answer["results"]] for answer in answers]
    grades = [task.grades.get(question.id, {}) for question in task.questions] if task.grades else []
    judged = [(ranking, known) for ranking, known in zip(rankings, grades, strict=True) if known]
    times = [float(each["timings"].get("search", each["timings"]["total"])) for each in answers or passages]
    return Report(
        mode=mode,
        questions=len(task.questions),
        ndcg={k: mean([ndcg(ranking, known, k) for ranking, known in judged]) for k in ndcg_at} if judged else {},
        recall={k: mean([recall(ranking, known, k) for ranking, known in judged]) for k in recall_at} if judged else {},
        character_recall={k: _characters(task, passages, k) for k in characters_at} if passages else {},
        p50_ms=percentile(times, 50),
        p95_ms=percentile(times, 95),
        degraded=sum("degraded" in each for each in [*answers, *passages]),
    )


def _asked(
    service: Service,
    path: str,
    questions: Sequence[Question],
    wanted: Mapping[str, Any],
    advance: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    """The answers in the order of the questions."""
    groups = [questions[at : at + _SEARCHES_A_REQUEST] for at in range(0, len(questions), _SEARCHES_A_REQUEST)]

    def ask(group: Sequence[Question]) -> list[dict[str, Any]]:
        body = {"searches": [{"query": question.text, **wanted} for question in group]}
        return list(service.post(f"{path}/search", body)["searches"])

    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        for answers in pool.map(ask, groups):
            advance(len(answers))
            yield from answers


def _characters(task: Task, passages: Sequence[dict[str, Any]], k: int) -> float:
    """Over the questions whose passages are known."""
    shares = []
    for question, answer in zip(task.questions, passages, strict=True):
        if wanted := task.spans.get(question.id):
            shares.append(character_recall(_spans(answer["results"][:k]), wanted))
    return mean(shares)


def _spans(results: Sequence[dict[str, Any]]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for each in results:
        name = document_name(each["document"]["uri"])
        found.setdefault(name, []).append(Span(each["span"]["start"], each["span"]["end"]))
    return found
