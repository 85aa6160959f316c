"""Refuses SQL made out of strings at run time, anywhere in the tree.

What is given to ``text``, ``literal_column``, ``SQL`` and ``exec_driver_sql`` must be a literal, and nothing given to
``execute`` may be put together from parts. Nor may text that reads as a statement, wherever it goes: it may be put into
a variable first. Identifiers come from Table objects or ``psycopg.sql.Identifier``.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_LITERAL_ONLY = {"text", "literal_column", "SQL", "exec_driver_sql", "DDL"}
_NEVER_BUILT = {"execute", "executemany", "scalar", "scalars", "copy"}
_STATEMENT = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|MERGE INTO|COPY|WITH|VALUES|TRUNCATE|CALL|SET|LOCK TABLE"
    r"|(CREATE|ALTER|DROP|COMMENT ON|GRANT|REVOKE|REINDEX|VACUUM|ANALYZE)\b)\s"
)


def faults(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    constants, told = _constants(tree), set[int]()
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        fault = _of_call(node, constants) if isinstance(node, ast.Call) else None
        if fault is None and _is_built(node) and _STATEMENT.match(_beginning(node)):
            fault = "a statement is put together from parts"
        if fault is not None and node.lineno not in told:
            told.add(node.lineno)
            yield node.lineno, fault


def _constants(tree: ast.Module) -> set[str]:
    """Names in capitals that the module gives a literal: as good as the literal itself."""
    names = (
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _is_literal(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    )
    return {name for name in names if name.isupper()}


def _of_call(call: ast.Call, constants: set[str]) -> str | None:
    arguments = [*call.args[:1], *(keyword.value for keyword in call.keywords)]
    name = _name(call.func)
    first = call.args[0] if call.args else None
    literal = first is None or _is_literal(first) or (isinstance(first, ast.Name) and first.id in constants)
    if name in _LITERAL_ONLY and not literal and _speaks_sql(call.func):
        return f"{name}() takes a literal, not something made at run time"
    if name in _NEVER_BUILT and any(map(_is_built, arguments)):
        return f"{name}() is given a string put together from parts"
    return None


def _beginning(node: ast.expr) -> str:
    """The literal text that something put together begins with."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return _beginning(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp):
        return _beginning(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _beginning(node.func.value)
    return ""


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _speaks_sql(function: ast.expr) -> bool:
    """``text`` is a common name: it is SQL's when called as itself or on a module of SQL's."""
    if isinstance(function, ast.Name):
        return True
    return isinstance(function, ast.Attribute) and _name(function.value) in (
        "sa",
        "sqlalchemy",
        "sql",
        "connection",
        "op",
    )


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_built(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return any(_is_literal(side) or _is_built(side) for side in (node.left, node.right))
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "join")
        and _is_literal(node.func.value)
    )


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], capture_output=True, check=True, text=True).stdout
    found = 0
    for name in filter(None, listed.split("\0")):
        path = Path(name)
        if not path.is_file():
            continue
        for line, why in faults(path.read_text(encoding="utf-8")):
            sys.stderr.write(f"{name}:{line}: {why}\n")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
