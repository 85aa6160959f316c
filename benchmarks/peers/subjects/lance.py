"""LanceDB in the process that asks, its data in a folder."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
from lancedb.index import BTree, HnswSq

from benchmarks.peers.given import SELECTED_KEY, SELECTED_VALUE, Given

_NAME = "chunks"
_BATCH = 10_000
_WHERE = f"metadata.{SELECTED_KEY} = {SELECTED_VALUE}"


class Lance:
    """One partition, as its makers advise for such sizes. The index holds a byte a dimension: as many as are asked for,
    twice over, are compared again by their full vectors."""

    sample = None

    def __init__(self, place: str) -> None:
        self._folder = Path(place)
        self._database = lancedb.connect(place)
        self._table: Any = self._database.open_table(_NAME) if _NAME in self._database.table_names() else None
        self._effort = 0

    def load(self, given: Given, start: int, stop: int) -> None:
        for first in range(start, stop, _BATCH):
            rows = list(given.rows(first, min(first + _BATCH, stop)))
            flat = pa.array([value for row in rows for value in row.vector.tolist()], pa.float32())
            batch = pa.table(
                {
                    "number": [row.number for row in rows],
                    "text": [row.text for row in rows],
                    "metadata": [row.metadata for row in rows],
                    "vector": pa.FixedSizeListArray.from_arrays(flat, given.dimensions),
                }
            )
            if self._table is None:
                self._table = self._database.create_table(_NAME, batch)
            else:
                self._table.add(batch)

    load_rest = load

    def build(self) -> None:
        config = HnswSq(distance_type="cosine", num_partitions=1, m=16, ef_construction=128)
        wait = timedelta(minutes=10)
        self._table.create_index("vector", config=config, wait_timeout=wait)
        self._table.create_index(f"metadata.{SELECTED_KEY}", config=BTree(), wait_timeout=wait)

    def disk_bytes(self) -> tuple[int, int]:
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        sizes = {path: path.stat().st_size for path in files}
        return sum(sizes.values()), sum(size for path, size in sizes.items() if "_indices" in path.parts)

    def ask_with(self, effort: int) -> None:
        self._effort = effort

    def search(self, vector: Any, k: int, *, selected: bool) -> list[int]:
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine").limit(k)
        query = query.nprobes(1).ef(self._effort).refine_factor(2).select(["number", "text", "metadata", "_distance"])
        if selected:
            query = query.where(_WHERE, prefilter=True)
        return [row["number"] for row in query.to_list()]


def opened(place: str, _given: Given) -> Lance:
    return Lance(place)
