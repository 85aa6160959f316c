"""Filters on document metadata: one grammar for every door, with one meaning for every store.

    {"andAll": [{"equals": {"key": "year", "value": 2024}}, {"startsWith": {"key": "department", "value": "legal/"}}]}

- ``expression``: a filter as the rest of RagIndex sees it.
- ``wire``: how it is read from JSON, and what is refused.
- ``meaning``: which metadata it matches. The SQL of ``ragindex_db.search`` is tested against this.

What the operators mean:

- Types are never coerced. There are three: strings, numbers (1 and 1.0 are the same) and booleans. A value of another
  type than the one asked for does not match.
- A key the document does not have fails every operator but ``notEquals`` and ``notIn``, which are exactly the opposite
  of ``equals`` and ``in``.
- A list matches through its members in ``listContains`` and ``stringContains`` and nowhere else.
- ``greaterThan`` and its kin compare numbers, or strings by code point. When the filter's value is an RFC 3339 date or
  date-time they compare moments instead, whatever the offsets, and match only strings that are such dates as well; a
  date without a time is its midnight in UTC. All other operators take dates for the strings they are.
- Keys that begin with ``_`` are RagIndex's own, the same for every document: ``BUILT_IN``. Metadata of the author's
  that begins so is kept and shown, but cannot be filtered by. There are none for what differs within a document (page,
  headings): a filter chooses documents.
"""

from ragindex_core.filters.expression import (
    BUILT_IN,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    Operator,
    Scalar,
    moment,
    number,
)
from ragindex_core.filters.meaning import matches
from ragindex_core.filters.wire import FilterField, FilterNode, parse_filter

__all__ = [
    "BUILT_IN",
    "AllOf",
    "AnyOf",
    "Comparison",
    "Filter",
    "FilterField",
    "FilterNode",
    "Operator",
    "Scalar",
    "matches",
    "moment",
    "number",
    "parse_filter",
]
