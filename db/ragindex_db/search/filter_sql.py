"""A filter as SQL over ``document_metadata``: every key and value is bound, none becomes text of a statement.

The rows that filters read, one a value: a string, number or boolean at position 0; the members of a list, marked as
such; and beside every string that is an RFC 3339 date its moment at position -1, so that dates are found by an index.

Two forms of the same filter, both held against ``ragindex_core.filters.matches`` by a test: the set of the documents it
matches, found through the indexes, and the question whether it matches one document at hand, for a scan of the vector
index that goes from near to far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import ge, gt, le, lt
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, FromClause, Select
from sqlalchemy.dialects.postgresql import ARRAY

from ragindex_core.filters import AllOf, AnyOf, Comparison, Filter, Operator, Scalar, moment, number
from ragindex_core.filters.expression import is_built_in
from ragindex_core.filters.wire import LONGEST_KEY
from ragindex_db.schema import document_metadata, documents

#: What the index on strings holds of each; longer ones are found by their start and then compared whole.
_INDEXED_CHARACTERS = 200
_MOMENT = -1

_COMPARE: Mapping[Operator, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Operator.GREATER_THAN: gt,
    Operator.GREATER_THAN_OR_EQUALS: ge,
    Operator.LESS_THAN: lt,
    Operator.LESS_THAN_OR_EQUALS: le,
}


def matching_documents(index_id: int, expression: Filter) -> Select[int]:
    """The ids of the documents of one index that the filter matches, each once.

    A document that was deleted has no metadata rows, so where these lead there is no need to ask whether it lives.
    """
    members = expression.members if isinstance(expression, AllOf) else (expression,)
    leading = next((member for member in members if is_found_by_index(member)), None)
    if isinstance(leading, Comparison):
        row = document_metadata.alias()
        found = _rows_of(index_id, row, leading)
        rest = (_within(index_id, row.c.document_id, member) for member in members if member is not leading)
        # Several members of one list may match.
        return found.where(*rest).distinct() if leading.operator in _IN_LISTS else found.where(*rest)
    document = documents.alias()
    return sa.select(document.c.id).where(
        document.c.index_id == index_id,
        document.c.deleted_at.is_(None),
        *(_within(index_id, document.c.id, member, document) for member in members),
    )


def document_matches(expression: Filter, document_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the filter matches the live document of this id.

    A scalar subquery, because the planner would turn EXISTS into a join and so lose the order of a vector index.
    """
    document = documents.alias()
    found = sa.select(document.c.id).where(
        document.c.id == document_id, document.c.deleted_at.is_(None), _of_one(document, expression)
    )
    return found.scalar_subquery().is_not(None)


_IN_LISTS = (Operator.LIST_CONTAINS, Operator.STRING_CONTAINS)


def is_found_by_index(expression: Filter) -> bool:
    """Whether rows of metadata show the documents that match: not by their absence, and not in the documents' own."""
    return (
        isinstance(expression, Comparison) and not is_built_in(expression.key) and expression.operator.opposite is None
    )


def _rows_of(index_id: int, row: FromClause, comparison: Comparison) -> Select[int]:
    return sa.select(row.c.document_id).where(
        row.c.index_id == index_id, row.c.key == comparison.key, _value_matches(row, comparison)
    )


def _within(
    index_id: int, ids: ColumnElement[int], expression: Filter, document: FromClause | None = None
) -> ColumnElement[bool]:
    """Whether ``ids``, those of ``document`` when it is given, are among the documents that match."""
    match expression:
        case AllOf(members):
            return sa.and_(*(_within(index_id, ids, member, document) for member in members))
        case AnyOf(members):
            return ids.in_(sa.union_all(*(matching_documents(index_id, member) for member in members)))
        case Comparison() if is_built_in(expression.key):
            return (
                ids.in_(matching_documents(index_id, expression))
                if document is None
                else _built_in(document, expression)
            )
        case Comparison() if expression.operator.opposite:
            return ~_exists(ids, expression)
        case Comparison():
            return ids.in_(_rows_of(index_id, document_metadata.alias(), expression))


def _of_one(document: FromClause, expression: Filter) -> ColumnElement[bool]:
    match expression:
        case AllOf(members):
            return sa.and_(*(_of_one(document, member) for member in members))
        case AnyOf(members):
            return sa.or_(*(_of_one(document, member) for member in members))
        case Comparison() if is_built_in(expression.key):
            return _built_in(document, expression)
        case Comparison():
            found = _exists(document.c.id, expression)
            return ~found if expression.operator.opposite else found


def _exists(document_id: ColumnElement[int], comparison: Comparison) -> sa.Exists:
    """Whether the document has a value as the comparison (for ``notEquals`` and ``notIn``: its opposite) asks."""
    row = document_metadata.alias()
    return sa.exists().where(
        row.c.document_id == document_id, row.c.key == comparison.key, _value_matches(row, comparison)
    )


def _value_matches(row: FromClause, comparison: Comparison) -> ColumnElement[bool]:
    value = comparison.value
    scalar = sa.and_(row.c.position == 0, ~row.c.is_list)
    match comparison.operator.opposite or comparison.operator:
        case Operator.EQUALS | Operator.IN:
            return sa.and_(scalar, _one_of(row, comparison.values))
        case Operator.LIST_CONTAINS:
            return sa.and_(row.c.is_list, _one_of(row, comparison.values))
        case Operator.STRING_CONTAINS:
            return sa.func.strpos(row.c.text_value, value) > 0
        case Operator.STARTS_WITH:
            start = _start(row).op("^@")(str(value)[:_INDEXED_CHARACTERS])
            return sa.and_(scalar, start, row.c.text_value.op("^@")(value))
        case operator:
            compare = _COMPARE[operator]
    if (seconds := moment(value)) is not None:
        return sa.and_(row.c.position == _MOMENT, compare(row.c.number_value, seconds))
    if (wanted := number(value)) is not None:
        return sa.and_(scalar, compare(row.c.number_value, wanted))
    # If one string is above another, its start is above or the same.
    loosely = ge if compare in (gt, ge) else le
    start = loosely(_start(row), str(value)[:_INDEXED_CHARACTERS])
    return sa.and_(scalar, start, compare(row.c.text_value, value))


def _one_of(row: FromClause, values: tuple[Scalar, ...]) -> ColumnElement[bool]:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [as_number for value in values if (as_number := number(value)) is not None]
    booleans = [value for value in values if isinstance(value, bool)]
    options: list[ColumnElement[bool]] = []
    if texts:
        starts = [text[:_INDEXED_CHARACTERS] for text in texts]
        options.append(
            sa.and_(_equals_any(_start(row), starts, sa.Text()), _equals_any(row.c.text_value, texts, sa.Text()))
        )
    if numbers:
        options.append(_equals_any(row.c.number_value, numbers, sa.Float(53)))
    if booleans:
        options.append(_equals_any(row.c.boolean_value, booleans, sa.Boolean()))
    return sa.or_(*options)


def _equals_any(column: ColumnElement[Any], values: list[Any], type_: sa.types.TypeEngine[Any]) -> ColumnElement[bool]:
    """One bound array, so that the number of values makes no new statement."""
    return column == sa.any_(sa.bindparam(None, values, type_=ARRAY(type_), unique=True))


def _start(row: FromClause) -> ColumnElement[str]:
    return sa.func.left(row.c.text_value, sa.literal_column("200", sa.Integer), type_=sa.Text())


_COLUMNS = {
    "_source": documents.c.source.name,
    "_key": documents.c.key.name,
    "_uri": documents.c.uri.name,
    "_title": documents.c.title.name,
    "_language": documents.c.language.name,
    "_mediaType": documents.c.media_type.name,
}


def _built_in(document: FromClause, comparison: Comparison) -> ColumnElement[bool]:
    found = _built_in_matches(document, comparison)
    return found.is_not(sa.true()) if comparison.operator.opposite else sa.func.coalesce(found, sa.false())


def _built_in_matches(document: FromClause, comparison: Comparison) -> ColumnElement[bool]:
    operator, value = comparison.operator.opposite or comparison.operator, comparison.value
    if comparison.key == "_modified":
        # Its grammar has only the comparisons in order, with a date.
        seconds = sa.cast(sa.extract("epoch", document.c.modified_at), sa.Float(53))
        return _COMPARE[operator](seconds, moment(value))
    if comparison.key == "_id":
        ids = [int(text) for text in comparison.values if isinstance(text, str) and _is_id(text)]
        return _equals_any(document.c.id, ids, sa.BigInteger())
    column = document.c[_COLUMNS[comparison.key]]
    match operator:
        case Operator.EQUALS | Operator.IN:
            texts = [text for text in comparison.values if isinstance(text, str)]
            return _equals_any(column, texts, sa.Text())
        case Operator.STRING_CONTAINS:
            return sa.func.strpos(column, value) > 0
        case Operator.STARTS_WITH:
            return column.op("^@")(value)
        case Operator.LIST_CONTAINS:
            return sa.false()
        case _ if isinstance(value, str) and moment(value) is None:
            # By code point, whatever the order of the database's own language.
            return _COMPARE[operator](column.collate("C"), value)
        case _:
            return sa.false()


def _is_id(text: str) -> bool:
    """Whether this is how a document's id is written: nothing that merely reads as the same number."""
    return text.isascii() and text.isdecimal() and len(text) <= 18 and str(int(text)) == text


def replace_document_metadata(
    connection: Connection, index_id: int, metadata: Mapping[int, Mapping[str, object]]
) -> None:
    """Make these what filters see of the documents they are of."""
    connection.execute(sa.delete(document_metadata).where(document_metadata.c.document_id.in_(metadata)))
    rows = [
        {"index_id": index_id, "document_id": document_id, **row}
        for document_id, fields in metadata.items()
        for row in _rows(fields)
    ]
    if rows:
        connection.execute(sa.insert(document_metadata), rows)


def _rows(metadata: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    for key, value in metadata.items():
        if is_built_in(key) or not 0 < len(key) <= LONGEST_KEY:
            continue  # no filter can name it
        if isinstance(value, list):
            for position, member in enumerate(dict.fromkeys((type(member), member) for member in value)):
                yield from _row(key, position, member[1], is_list=True)
        else:
            yield from _row(key, 0, value, is_list=False)
            if (seconds := moment(value)) is not None:
                yield from _row(key, _MOMENT, seconds, is_list=False)


def _row(key: str, position: int, value: object, *, is_list: bool) -> Iterator[dict[str, Any]]:
    row: dict[str, Any] = {
        "key": key,
        "position": position,
        "is_list": is_list,
        "text_value": value if isinstance(value, str) else None,
        "number_value": number(value),
        "boolean_value": value if isinstance(value, bool) else None,
    }
    if any(row[column] is not None for column in ("text_value", "number_value", "boolean_value")):
        yield row
