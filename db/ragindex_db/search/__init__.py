"""Search over one revision: filters, the vector arm and its index, fusion, and the chunks as they are shown."""

from ragindex_db.search.chunks import DocumentReference, Neighbour, StoredChunk, Surroundings, get_chunks
from ragindex_db.search.filter_sql import matching_documents, replace_document_metadata
from ragindex_db.search.plain import PlainSearch, plain_search
from ragindex_db.search.request import ArmScores, Explanation, Matched, SearchHit, SearchRequest, SearchResult
from ragindex_db.search.search import search, search_further
from ragindex_db.search.vector import FilterIn, Strategy
from ragindex_db.search.vector_index import (
    IndexState,
    VectorIndex,
    build_vector_index,
    can_be_indexed,
    drop_vector_index,
    has_unsealed_vectors,
    seal_vectors,
    vector_index_bloat,
    vector_index_exists,
    vector_index_state,
)

__all__ = [
    "ArmScores",
    "DocumentReference",
    "Explanation",
    "FilterIn",
    "IndexState",
    "Matched",
    "Neighbour",
    "PlainSearch",
    "SearchHit",
    "SearchRequest",
    "SearchResult",
    "StoredChunk",
    "Strategy",
    "Surroundings",
    "VectorIndex",
    "build_vector_index",
    "can_be_indexed",
    "drop_vector_index",
    "get_chunks",
    "has_unsealed_vectors",
    "matching_documents",
    "plain_search",
    "replace_document_metadata",
    "seal_vectors",
    "search",
    "search_further",
    "vector_index_bloat",
    "vector_index_exists",
    "vector_index_state",
]
