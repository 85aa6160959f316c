"""Statements that are run often: made by SQLAlchemy, compiled once, then run by the driver alone.

SQLAlchemy needs longer to look up what it compiled, and to wrap what comes back, than PostgreSQL needs for a search. So
the service's queries go round it. Nothing changes for whoever writes a query: a function takes a ``Reader``, calls
``reader.execute(statement, values)`` and reads rows by name or position. It runs the same on a ``Connection``, as
workers and tests call it, and in ``AsyncDatabase.query``, where statements pass through ``compiled`` below.

Three rules for a statement that is run often:

- Keep it: a function under ``lru_cache`` that returns the same object for the same tables and shape. What is compiled
  is found again by that object; one made anew each time is compiled each time, which takes a millisecond.
- Whatever differs from call to call is a ``bindparam`` with a name and a type, and given in ``values``.
- Mark it ``planned_once(statement)`` when the best plan does not depend on the values. The server then parses it once
  a connection and, after a few times, plans it no more. A LIMIT is such a value: planning for an unknown one, the
  server expects a tenth of the table. Say ``limit(written(number))``, and keep one statement a number.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.compiler import compiles

Statement: TypeAlias = sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]]
S = TypeVar("S", bound=Statement)
Converter: TypeAlias = Callable[[Any], Any]


class Rows(Protocol):
    """What a statement brought, as named tuples."""

    def __iter__(self) -> Iterator[Any]: ...
    def all(self) -> Sequence[Any]: ...
    def scalars(self) -> Iterable[Any]: ...
    def one(self) -> Any: ...
    def one_or_none(self) -> Any: ...
    def scalar_one(self) -> Any: ...


class Reader(Protocol):
    """What runs a query: a ``Connection``, or within ``AsyncDatabase.query`` one that goes round SQLAlchemy."""

    def execute(self, statement: Statement, parameters: Mapping[str, Any] | None = None, /) -> Rows: ...


class written(ColumnElement[int]):  # noqa: N801  read like a function of SQLAlchemy's
    """A whole number that stands in the statement as it is, for the planner to see."""

    inherit_cache = False

    def __init__(self, number: int) -> None:
        self.type = sa.BigInteger()
        self.number = number


@compiles(written)
def _write(element: written, _compiler: object, **_: Any) -> str:
    return f"{element.number:d}"


def planned_once(statement: S) -> S:
    """The same statement, for the server to keep as it planned it."""
    marked: S = statement.execution_options(planned_once=True)  # type: ignore[assignment]
    return marked


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as the driver takes it."""

    text: str  # with $1, $2, …
    names: tuple[str, ...]  # of its parameters, in that order
    given: Mapping[str, Any]  # the values that stand in the statement itself
    converters: Mapping[str, Converter]  # of parameters whose type needs more than the driver knows
    row: Converter  # makes a row of a tuple
    planned_once: bool

    def parameters(self, values: Mapping[str, Any] | None) -> list[Any]:
        all_values = {**self.given, **values} if values else self.given
        if self.converters:
            all_values = {**all_values, **{name: to(all_values[name]) for name, to in self.converters.items()}}
        return [all_values[name] for name in self.names]


_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


_NUMERIC, _DOUBLE = 1700, 701  # numbers of types in PostgreSQL


@lru_cache(maxsize=2048)
def compiled(statement: Statement) -> Compiled:
    made = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    assert isinstance(made, sa.sql.compiler.SQLCompiler)
    names = tuple(made.positiontup or ())
    given = made.params
    return Compiled(
        text=made.string,
        names=names,
        given={name: value for name, value in given.items() if value is not None or not _required(made, name)},
        converters={name: to for name in names if (to := _to_driver(made, name)) is not None},
        row=_row(statement),
        planned_once=statement.get_execution_options().get("planned_once", False),
    )


def _required(made: sa.sql.compiler.SQLCompiler, name: str) -> bool:
    return name in made.binds and made.binds[name].required


def _to_driver(made: sa.sql.compiler.SQLCompiler, name: str) -> Converter | None:
    if name not in made.binds:  # of a list, whose members the driver knows
        return None
    kind = made.binds[name].type
    return None if isinstance(kind, sa.ARRAY) else kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _row(statement: Statement) -> Converter:
    columns = list(statement.selected_columns)
    names = " ".join(column.key or "_" for column in columns)
    named: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
    row: Any = type("Row", (named,), {"__slots__": (), "_mapping": property(named._asdict)})  # as SQLAlchemy's have it
    make: Converter = partial(tuple.__new__, row)  # as row._make does, without a call in Python a row
    converters = [_from_driver(column.type) for column in columns]
    if not any(converters):
        return make
    return lambda values: make(to(v) if to is not None else v for to, v in zip(converters, values, strict=True))


def _from_driver(kind: sa.types.TypeEngine[Any]) -> Converter | None:
    # Which converter a number needs depends on how it comes: here always as what it is said to be.
    if isinstance(kind, sa.ARRAY):  # lists are the driver's business
        return None
    came_as = _NUMERIC if isinstance(kind, sa.Numeric) and kind.asdecimal else _DOUBLE
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, came_as)
