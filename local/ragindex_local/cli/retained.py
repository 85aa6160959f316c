"""``ragindex retained`` and ``ragindex purge``: what indexes with deletionPolicy Retain left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragindex_core.errors import Conflict, InvalidInput, NotFound
from ragindex_local.cli import address
from ragindex_local.cli.command import command, data_option, json_option
from ragindex_local.cli.output import ago, as_json, note, say, table
from ragindex_local.client import IndexName

if TYPE_CHECKING:
    from ragindex_db.engine import Database
    from ragindex_db.indexes import IndexRow


@contextmanager
def _opened(where: address.Address) -> Iterator[Database]:
    from ragindex_db.engine import Database, DatabaseSettings

    database = Database(DatabaseSettings(url=where.database(), pool_size=1, application_name="ragindex-cli"))
    try:
        yield database
    finally:
        database.close()


@command("retained")
@data_option
@json_option
def retained(data: Path | None, json_: bool) -> None:
    """List the data of indexes that are gone and whose deletionPolicy is Retain."""
    from ragindex_db import indexes

    where = address.find(None, data)
    with _opened(where) as database:
        rows = database.run(indexes.list_retained, where.installation)
    if json_:
        as_json({"items": [_shown(row) for row in rows]})
        return
    if not rows:
        note("nothing is retained")
        return
    cells = [(row.full_name, row.uid, ago(str(_shown(row)["retainedAt"]))) for row in rows]
    say(table(("INDEX", "UID", "RETAINED"), cells))


def _shown(row: IndexRow) -> dict[str, str | None]:
    since = row.retained_at.isoformat() if row.retained_at else None
    return {"namespace": row.namespace, "name": row.name, "uid": row.uid, "retainedAt": since}


@command("purge")
@click.argument("which", metavar="UID|NAME")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def purge(which: str, yes: bool, data: Path | None, json_: bool) -> None:
    """Drop the data that a deleted index left behind, for good."""
    from ragindex_db import indexes

    where = address.find(None, data)
    with _opened(where) as database:
        row = _chosen(database.run(indexes.list_retained, where.installation), which)
        if not yes:
            _confirm(row)
        _drop(database, row)
    if json_:
        as_json({"purged": _shown(row)})
    else:
        say(f"dropped all data of {row.full_name}")


def _confirm(row: IndexRow) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput.field("--yes", f"is needed to drop {row.full_name} where nobody can be asked")
    click.confirm(f"Drop all data of {row.full_name} ({row.uid})?", abort=True, err=True)


def _chosen(rows: list[IndexRow], which: str) -> IndexRow:
    found = [row for row in rows if row.uid == which] or [
        row for row in rows if row.full_name == str(IndexName.parse(which))
    ]
    if not found:
        raise NotFound(f"nothing is retained of {which}; `ragindex retained` lists what is")
    if len(found) > 1:
        raise Conflict(f"{which} left data behind more than once; name one by its uid: {_uids(found)}")
    return found[0]


def _uids(rows: list[IndexRow]) -> str:
    return ", ".join(row.uid for row in rows)


def _drop(database: Database, row: IndexRow) -> None:
    """One transaction, for an index that nobody took over in the meantime."""
    from ragindex_db import indexes, revisions

    with database.begin() as connection:
        now = indexes.get(connection, row.id)
        if now.retained_at is None:
            raise Conflict(f"{row.full_name} was taken over by a new object and is in use")
        indexes.serve(connection, row.id, None)
        for revision in revisions.list_kept(connection, row.id):
            revisions.drop_tables(connection, revision.tables)
        indexes.remove(connection, row.id)
