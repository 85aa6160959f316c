"""The keyword arm in plain PostgreSQL: exact BM25 by vector arithmetic, kept up to date without shared counters."""

from __future__ import annotations

from ragindex_db.keyword.seal import SealResult, seal
from ragindex_db.keyword.search import (
    Evidence,
    Facts,
    Hit,
    Ranking,
    Statistics,
    evidence,
    facts,
    rank,
    score,
    search,
    statistics,
)
from ragindex_db.keyword.tables import KeywordTables, keyword_tables
from ragindex_db.keyword.write import ChunkTerms, Terms, delete_chunks, delete_documents, encode, write, write_encoded

__all__ = [
    "ChunkTerms",
    "Evidence",
    "Facts",
    "Hit",
    "KeywordTables",
    "Ranking",
    "SealResult",
    "Statistics",
    "Terms",
    "delete_chunks",
    "delete_documents",
    "encode",
    "evidence",
    "facts",
    "keyword_tables",
    "rank",
    "score",
    "seal",
    "search",
    "statistics",
    "write",
    "write_encoded",
]
