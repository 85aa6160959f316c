"""What the server says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

_EXTENSION = sa.table("pg_extension", sa.column("extname"), sa.column("extversion"), schema="pg_catalog")
_PGVECTOR = sa.select(_EXTENSION.c.extversion).where(_EXTENSION.c.extname == "vector").scalar_subquery()
_SERVER = sa.select(sa.func.now(), sa.func.current_setting("server_version"), _PGVECTOR)


@dataclass(frozen=True, slots=True)
class Server:
    """Versions as people write them, and the time that the catalogue's dates are of."""

    now: datetime
    version: str
    pgvector: str | None


def server(connection: Connection) -> Server:
    now, version, pgvector = connection.execute(_SERVER).one()
    return Server(now, str(version).split(" ")[0], pgvector)
