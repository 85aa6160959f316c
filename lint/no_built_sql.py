"""Refuses SQL made out of strings at run time, anywhere in the tree.

What is given to ``text``, ``literal_column``, ``SQL`` and ``exec_driver_sql`` must be a literal, and nothing given to
``execute`` may be put together from parts. Identifiers come from Table objects or ``psycopg.sql.Identifier``.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_LITERAL_ONLY = {"text", "literal_column", "SQL", "exec_driver_sql", "DDL"}
_NEVER_BUILT = {"execute", "executemany", "scalar", "scalars"}


def faults(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = _name(node.func)
        first = node.args[0]
        if name in _LITERAL_ONLY and not _is_literal(first) and _speaks_sql(node.func):
            yield node.lineno, f"{name}() takes a literal, not something made at run time"
        elif name in _NEVER_BUILT and _is_built(first):
            yield node.lineno, f"{name}() is given a string put together from parts"


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
