"""ConfigMaps as sources: workers cannot ask Kubernetes, so the operator writes down here what it read of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from ragindex_db.schema import config_map_entries, config_maps, indexes


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The ConfigMap of a source as it was read last. No ``version``: there was none, and ``message`` may say why."""

    name: str
    version: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    size: int
    sha256: str


def mirror(
    connection: Connection,
    index_id: int,
    source: str,
    name: str,
    version: str | None,
    entries: Mapping[str, bytes],
    message: str | None = None,
) -> bool:
    """All entries in place of those there were; False when that version, or that there is none, was known already."""
    written = connection.execute(_described(index_id, source, name, version, message)).scalar_one_or_none()
    if written is None:
        return False
    table = config_map_entries
    connection.execute(sa.delete(table).where(table.c.index_id == index_id, table.c.source == source))
    rows = [
        {
            "index_id": index_id,
            "source": source,
            "key": key,
            "namespace": written,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "data": data,
        }
        for key, data in entries.items()
    ]
    if rows:
        connection.execute(sa.insert(table), rows)
    return True


def _described(
    index_id: int, source: str, name: str, version: str | None, message: str | None
) -> sa.sql.dml.ReturningInsert[tuple[str]]:
    """Gives the namespace when something was to be written, and locks the row so that two who mirror take turns."""
    table = config_maps
    told = {"name": name, "version": version, "message": message, "mirrored_at": sa.func.now()}
    values = sa.select(
        sa.literal(index_id), _text(source), indexes.c.namespace, _text(name), _text(version), _text(message)
    ).where(indexes.c.id == index_id)
    return (
        insert(table)
        .from_select(["index_id", "source", "namespace", "name", "version", "message"], values)
        .on_conflict_do_update(
            index_elements=[table.c.index_id, table.c.source],
            set_=told,
            where=sa.or_(
                table.c.name != name,
                table.c.version.is_distinct_from(version),
                table.c.message.is_distinct_from(message),
            ),
        )
        .returning(table.c.namespace)
    )


def _text(value: str | None) -> sa.ColumnElement[str | None]:
    return sa.cast(sa.literal(value), sa.Text)


def versions(connection: Connection, index_id: int) -> dict[str, str | None]:
    """Of the index's sources, by name: the version that is mirrored, None for a ConfigMap that is not there."""
    table = config_maps.c
    rows = connection.execute(sa.select(table.source, table.version).where(table.index_id == index_id))
    return {row[0]: row[1] for row in rows}


def forget(connection: Connection, index_id: int, keep_sources: Collection[str]) -> None:
    """Every source but these: they are not in the spec any more."""
    table = config_maps
    connection.execute(sa.delete(table).where(table.c.index_id == index_id, table.c.source.not_in(list(keep_sources))))


def mirrored(connection: Connection, index_id: int, source: str) -> Mirrored | None:
    """None when it was never read."""
    table = config_maps.c
    row = connection.execute(
        sa.select(table.name, table.version, table.message).where(table.index_id == index_id, table.source == source)
    ).one_or_none()
    return None if row is None else Mirrored(*row)


def entries(connection: Connection, index_id: int, source: str) -> list[Entry]:
    """In the order of the keys (code points). All at once, without their bytes: a ConfigMap holds 1 MiB at most, and
    pages of it could be of two versions."""
    table = config_map_entries.c
    rows = connection.execute(
        sa.select(table.key, table.size, table.sha256)
        .where(table.index_id == index_id, table.source == source)
        .order_by(table.key)
    )
    return [Entry(*row) for row in rows]


def entry(connection: Connection, index_id: int, source: str, key: str) -> tuple[Entry, bytes] | None:
    """One entry and its bytes."""
    table = config_map_entries.c
    row = connection.execute(
        sa.select(table.key, table.size, table.sha256, table.data).where(
            table.index_id == index_id, table.source == source, table.key == key
        )
    ).one_or_none()
    return None if row is None else (Entry(row.key, row.size, row.sha256), bytes(row.data))
