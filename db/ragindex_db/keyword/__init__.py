"""The keyword arm in plain PostgreSQL: exact BM25 by vector arithmetic, kept up to date without shared counters."""

from __future__ import annotations

from ragindex_db.keyword.seal import SealResult, seal
from ragindex_db.keyword.search import Evidence, Hit, Statistics, evidence, score, search, statistics
from ragindex_db.keyword.tables import KeywordTables, keyword_tables
from ragindex_db.keyword.write import ChunkTerms, delete_chunks, delete_documents, write

__all__ = [
    "ChunkTerms",
    "Evidence",
    "Hit",
    "KeywordTables",
    "SealResult",
    "Statistics",
    "delete_chunks",
    "delete_documents",
    "evidence",
    "keyword_tables",
    "score",
    "seal",
    "search",
    "statistics",
    "write",
]
