"""What others are compared by: the truth that recall is held against, and the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers import environment, table
from benchmarks.peers.given import Given, nearest, recall


def vectors(count: int) -> Any:
    made = np.random.default_rng(5).normal(size=(count, 8)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_nearest_come_in_order_and_out_of_those_allowed() -> None:
    rows = vectors(40)
    allowed = np.arange(1, 40, 2)
    found = nearest(rows, rows[3:4], allowed)[0]
    assert found[0] == 3
    assert set(found) <= set(allowed)
    scores = rows[found] @ rows[3]
    assert list(scores) == sorted(scores, reverse=True)


def test_recall_is_the_share_of_the_truth_that_was_found() -> None:
    truth = np.array([[1, 2], [3, 4]])
    assert recall([[2, 1], [3, 9]], truth) == 0.75


def test_what_is_given_is_read_back_in_its_order(tmp_path: Path) -> None:
    rows = vectors(30)
    chunks = [(f"passage {number}", {"hundredth": 7 if number < 12 else 1}) for number in range(30)]
    given = Given(tmp_path)
    given.write(rows, rows[:2], iter(chunks))
    read = list(given.rows(10, 13))
    assert [row.text for row in read] == ["passage 10", "passage 11", "passage 12"]
    assert np.array_equal(read[0].vector, rows[10])
    assert given.truth_selected.max() < 12


def system(**ask: Any) -> dict[str, Any]:
    rate = {"queries_a_second": 100.0, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_ms": 0.5}
    return {"title": "Store", "ask": {"effort": 40, "one": rate, "eight": rate, "rss_mib": 90.0} | ask}


def test_the_page_keeps_what_people_wrote_around_the_figures(tmp_path: Path) -> None:
    page = tmp_path / "peers.md"
    page.write_text("Before.\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nAfter.\n", encoding="utf-8")
    kept = {"date": "2026-01-02T03:04:05", "commit": "abc", "data": "ten passages", "load": 0.5, "load_after": 1.0}
    table.update(page, kept | {"details": {"versions": {"store": "1.0"}, "systems": {"store": system()}}})
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "old" not in text
    assert "| Store | 100 | 100 | 1.0 / 2.0 | 0.50 | the same (40) |" in text


def test_every_system_has_a_pinned_version() -> None:
    names = {"chromadb", "lancedb", "langchain-postgres", "llama-index-vector-stores-postgres"}
    assert environment.versions().keys() == names
