"""Chroma in the process that asks, its data in a folder. It indexes while it loads: there is no build apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings

from benchmarks.peers.given import CHROMA_NAME, SELECTED_KEY, SELECTED_VALUE, Given, Row

_WHERE: Any = {SELECTED_KEY: SELECTED_VALUE}
_BATCH = 5_000


class Chroma:
    sample = None

    def __init__(self, place: str) -> None:
        self._place = place
        self._open()

    def _open(self) -> None:
        self._client = chromadb.PersistentClient(self._place, settings=Settings(anonymized_telemetry=False))
        hnsw: Any = {"space": "cosine", "ef_construction": 128, "max_neighbors": 16}
        self._chunks = self._client.get_or_create_collection(
            CHROMA_NAME, configuration={"hnsw": hnsw}, embedding_function=None
        )

    def load(self, given: Given, start: int, stop: int) -> None:
        for first in range(start, stop, _BATCH):
            self._add(list(given.rows(first, min(first + _BATCH, stop))))

    load_rest = load

    def _add(self, rows: list[Row]) -> None:
        self._chunks.add(
            ids=[str(row.number) for row in rows],
            embeddings=[row.vector for row in rows],
            documents=[row.text for row in rows],
            metadatas=[row.metadata for row in rows],
        )

    def build(self) -> None:
        pass

    def disk_bytes(self) -> tuple[int, int]:
        files = [path for path in Path(self._place).rglob("*") if path.is_file()]
        return size(files), size([path for path in files if path.suffix == ".bin"])

    def ask_with(self, effort: int) -> None:
        """Noticed only by who opens the collection anew."""
        self._chunks.modify(configuration={"hnsw": {"ef_search": effort}})
        self._client.close()
        SharedSystemClient.clear_system_cache()
        self._open()

    def search(self, vector: Any, k: int, *, selected: bool) -> list[int]:
        found = self._chunks.query(
            query_embeddings=[vector],
            n_results=k,
            where=_WHERE if selected else None,
            include=["documents", "metadatas", "distances"],
        )
        return [int(number) for number in found["ids"][0]]


def size(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def opened(place: str, _given: Given) -> Chroma:
    return Chroma(place)
