"""Rows handed to a statement: one parameter for each column, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY


def given(rows: Iterable[Sequence[Any]], **columns: sa.types.TypeEngine[Any]) -> sa.TableValuedAlias:
    """The rows as something to select from; ``columns`` name their values, in order, with the types of each."""
    values = list(zip(*rows, strict=True)) or [() for _ in columns]
    arrays = [sa.cast(list(each), ARRAY(kind)) for each, kind in zip(values, columns.values(), strict=True)]
    return (
        sa.func.unnest(*arrays)
        .table_valued(*[sa.column(name, kind) for name, kind in columns.items()], name="given")
        .render_derived()
    )
