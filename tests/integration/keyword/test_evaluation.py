"""Ranking quality on real, judged data."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

import pytest

from ragindex_core.analysis import analyse_chunk, query_terms
from ragindex_db.keyword import ChunkTerms

from .conftest import Revision

pytestmark = pytest.mark.data


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _relevant(path: Path) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text("utf-8").splitlines():
        query, *_, document, grade = line.split("\t")
        if grade.isdecimal() and int(grade) > 0:
            relevant[query][document] = int(grade)
    return relevant


def _index(revision: Revision, corpus: list[dict[str, str]], language: str) -> None:
    rows = []
    for number, document in enumerate(corpus, start=1):
        counted = analyse_chunk([document["title"], document["text"]], language)
        rows.append(ChunkTerms(number, number, counted.length, counted.frequencies, counted.row))
    revision.write(*rows)
    revision.seal()


def test_scifact_by_keyword(revision: Revision, evaluation_data: Path) -> None:
    folder = evaluation_data / "scifact"
    corpus, relevant = _lines(folder / "corpus.jsonl"), _relevant(folder / "qrels.tsv")
    _index(revision, corpus, "en")
    gains = []
    for query in _lines(folder / "queries.jsonl"):
        wanted = relevant[query["id"]]
        found = [corpus[chunk_id - 1]["id"] for chunk_id in revision.found(query_terms(query["text"], ["en"]), 10)]
        ideal = sum(grade / math.log2(r + 2) for r, grade in enumerate(sorted(wanted.values(), reverse=True)[:10]))
        gains.append(sum(wanted.get(d, 0) / math.log2(r + 2) for r, d in enumerate(found)) / ideal)
    assert len(gains) == 300
    assert sum(gains) / len(gains) >= 0.68


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_the_paragraph_of_a_question_by_keyword(revision: Revision, evaluation_data: Path, language: str) -> None:
    folder = evaluation_data / "xquad" / language
    corpus, relevant = _lines(folder / "corpus.jsonl"), _relevant(folder / "qrels.tsv")
    _index(revision, corpus, language)
    queries = _lines(folder / "queries.jsonl")[::10]
    hits = 0
    for query in queries:
        found = {corpus[chunk_id - 1]["id"] for chunk_id in revision.found(query_terms(query["text"], [language]), 10)}
        hits += bool(found & relevant[query["id"]].keys())
    assert hits / len(queries) >= 0.95
