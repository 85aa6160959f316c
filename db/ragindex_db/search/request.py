"""What a search of one revision is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragindex_core.analysis import KeywordQuery
from ragindex_core.document import Span
from ragindex_core.filters import Filter
from ragindex_core.object.spec import Distance, FusionMethod, RetrievalMode
from ragindex_db.data_tables import RevisionTables
from ragindex_db.search.chunks import StoredChunk, Surroundings
from ragindex_db.search.vector import Strategy


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Hybrid runs the arms it has a query for.

    ``hierarchical`` is the revision's chunking strategy. ``has_index`` says whether its vector index was valid when the
    caller last looked: it saves a question, and may be out of date. ``broad``: the filter is known to leave more chunks
    than are compared one by one.
    """

    index_id: int
    tables: RevisionTables
    mode: RetrievalMode
    top_k: int
    vector: NDArray[np.float32] | Sequence[float] | None = None
    keyword: KeywordQuery | None = None
    filter: Filter | None = None
    fusion: FusionMethod = FusionMethod.WEIGHTED
    vector_weight: int = 70
    distance: Distance = Distance.COSINE
    ef_search: int = 100
    has_index: bool | None = None
    hierarchical: bool = False
    group_by_document: bool = False
    neighbours: int = 0
    broad: bool = False

    @property
    def uses_vector(self) -> bool:
        return self.mode is not RetrievalMode.KEYWORD and self.vector is not None

    @property
    def uses_keyword(self) -> bool:
        return self.mode is not RetrievalMode.VECTOR and self.keyword is not None

    @property
    def grouped(self) -> bool:
        return self.hierarchical or self.group_by_document


class ArmScores(NamedTuple):
    """Raw, and None where the arm did not run or the chunk has no vector. Keyword: 0 when no term matches."""

    vector: float | None
    keyword: float | None


class Matched(NamedTuple):
    """A chunk that was found within the section that is shown for it."""

    chunk_id: int
    span: Span
    score: float


class SearchHit(NamedTuple):
    """``score`` orders one result: the fused score, or of a single arm its raw score."""

    chunk: StoredChunk
    score: float
    scores: ArmScores
    matched: tuple[Matched, ...] = ()
    surroundings: Surroundings | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """``rounds``: how often the arms were read deeper because grouping left too few. ``matching_chunks``: behind the
    filter, when they were counted, up to 10,001."""

    strategy: Strategy | None
    matching_chunks: int | None
    depth: int
    rounds: int
    vector_hits: int | None
    keyword_hits: int | None
    candidates: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    revision_id: int
    hits: tuple[SearchHit, ...]
    timings_ms: Mapping[str, float]
    explanation: Explanation
