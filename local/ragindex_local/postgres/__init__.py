"""PostgreSQL for one machine: the server that `ragindex up` brings along, and its whole life.

The programs come from an installed wheel; everything else (accounts, start, watching, stopping) is done here, because
the wheel's own Python opens folders that it should leave alone and leaves servers behind.
"""

from ragindex_local.postgres.keeper import Keeper
from ragindex_local.postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "Keeper"]
