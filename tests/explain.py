"""EXPLAIN of a statement, itself a statement: plans can be asked for without putting SQL together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement


class Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, statement: ClauseElement) -> None:
        self.statement = statement


@compiles(Explain)
def _compile(element: Explain, compiler: SQLCompiler, **kw: Any) -> str:
    return "EXPLAIN (COSTS OFF) " + compiler.process(element.statement, **kw)
