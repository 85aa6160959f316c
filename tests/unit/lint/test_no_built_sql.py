"""The lint tells SQL that is written down from SQL that is made at run time."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_FILE = Path(__file__).parents[3] / "lint" / "no_built_sql.py"
_SPEC = importlib.util.spec_from_file_location("no_built_sql", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
lint = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lint)


@pytest.mark.parametrize(
    "source",
    [
        'connection.execute(f"SELECT {name}")',
        'connection.execute("SELECT " + name)',
        'connection.execute("SELECT %s" % name)',
        'connection.execute("SELECT {}".format(name))',
        'sa.text(f"SELECT {name}")',
        "text(statement)",
        'sql.SQL(f"DROP TABLE {name}")',
        "sa.literal_column(name)",
        "COUNT = read()\nsa.text(COUNT)",
        'statement = f"SELECT * FROM {name}"',
        'statement = "DELETE FROM " + name',
        'statement = "DROP TABLE {}".format(name)',
        'run(query=f"UPDATE {table} SET x = 1")',
        'cursor.execute(query=f"{verb} x")',
        'cursor.copy(f"COPY {table} FROM STDIN")',
        'x = f"""\n    WITH found AS ({inner}) SELECT 1"""',
    ],
)
def test_built_sql_is_refused(source: str) -> None:
    assert len(list(lint.faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        'connection.execute(sa.text("SELECT 1"))',
        'cursor.execute("SELECT 1", (name,))',
        'sql.SQL("DROP TABLE {}").format(sql.Identifier(name))',
        "connection.execute(sa.select(table))",
        'element.text("words", name)',
        "page.text(words)",
        'say(f"Select {name}")',
        'say(f"SETTINGS {name}")',
        'sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))',
        'say("With " + name)',
        '_COUNT = "SELECT 1"\nsa.text(_COUNT)',
    ],
)
def test_written_sql_is_taken(source: str) -> None:
    assert list(lint.faults(source)) == []
