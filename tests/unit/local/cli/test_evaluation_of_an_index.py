"""Questions and judgements as files hold them, asked of a service whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ragindex_core.errors import InvalidInput
from ragindex_local.evaluation import Task, document_name, evaluate, read_task


class Service:
    """Answers each question with the documents that are written for it, and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, list[tuple[str, int, int]]]) -> None:
        self._answers = answers
        self.asked: list[Mapping[str, Any]] = []

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert path == "/v1/indexes/default/x/search"
        assert body is not None
        self.asked += body["searches"]
        return {"searches": [self._answer(search) for search in body["searches"]]}

    def _answer(self, search: Mapping[str, Any]) -> dict[str, Any]:
        found = self._answers[search["query"]][: search["top_k"]]
        results = [
            {"document": {"uri": f"file:///data/{name}.md"}, "span": {"start": start, "end": end}}
            for name, start, end in found
        ]
        return {"results": results, "timings": {"search": 2.0, "total": 9.0}}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "queries.jsonl").write_text(
        "\n".join(json.dumps({"id": number, "text": f"question {number}"}) for number in (1, 2, 3))
    )
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta b\t1\n2\tc\t1\n")
    (tmp_path / "spans.jsonl").write_text(json.dumps({"query": 1, "doc": "a b", "start": 10, "end": 20}) + "\n")
    return read_task(tmp_path / "queries.jsonl", tmp_path / "qrels.tsv", tmp_path / "spans.jsonl")


def test_an_index_is_measured_over_the_questions_that_are_judged(task: Task) -> None:
    service = Service({"question 1": [("a%20b", 0, 15)], "question 2": [("x", 0, 5), ("c", 0, 5)]})
    report = evaluate(service, "/v1/indexes/default/x", task, "keyword", recall_at=(1, 10))
    assert report.questions == 2
    assert report.recall == {1: 0.5, 10: 1.0}
    assert report.ndcg[10] == pytest.approx((1 + 0.6309) / 2, abs=1e-4)
    assert report.character_recall == {8: 0.5}
    assert (report.p50_ms, report.p95_ms) == (2.0, 2.0)
    assert {search.get("group_by") for search in service.asked} == {"document", None}


def test_the_order_of_answers_survives_many_requests(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(100)]
    (tmp_path / "queries").write_text("\n".join(json.dumps({"id": name, "text": name}) for name in names))
    (tmp_path / "qrels").write_text("\n".join(f"{name}\t{name}\t1" for name in names))
    service = Service({name: [(name, 0, 1)] for name in names})
    done: list[int] = []
    report = evaluate(
        service,
        "/v1/indexes/default/x",
        read_task(tmp_path / "queries", tmp_path / "qrels"),
        "hybrid",
        advance=done.append,
    )
    assert report.recall == {10: 1.0}
    assert report.character_recall == {}
    assert sum(done) == 100


@pytest.mark.parametrize(
    ("queries", "qrels", "message"),
    [
        ('{"id": 1}', "1\ta\t1", "has no text"),
        ("rubbish", "1\ta\t1", "is not JSON"),
        ('{"id": 1, "text": "t"}', "1 a 1", "between tabs"),
        ('{"id": 1, "text": "t"}', "1\ta\t1\n1\tb\tmuch", "qrels:2"),
        ('{"id": 1, "text": "t"}', "2\ta\t1", "no question"),
    ],
)
def test_files_that_are_wrong_are_named_with_the_line(tmp_path: Path, queries: str, qrels: str, message: str) -> None:
    (tmp_path / "queries").write_text(queries)
    (tmp_path / "qrels").write_text(qrels)
    with pytest.raises(InvalidInput, match=message):
        read_task(tmp_path / "queries", tmp_path / "qrels")


@pytest.mark.parametrize(
    ("uri", "name"),
    [("file:///a/b/00-00.md", "00-00"), ("upload://default/x/d%2Fe/f.tar.gz", "f.tar"), ("s3://bucket/key", "key")],
)
def test_a_document_is_judged_by_the_name_of_its_file(uri: str, name: str) -> None:
    assert document_name(uri) == name
