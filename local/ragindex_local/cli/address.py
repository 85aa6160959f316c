"""Where the service and its database are: as said, else as `ragindex up` left word in its folder, else the default."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragindex_core.errors import Misconfigured
from ragindex_local.client import Client

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_DATA = Path(".ragindex")
RUN_FILE = "run.json"
#: What `ragindex up` calls its own part of a database.
DEFAULT_INSTALLATION = "local"


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    database_url: str | None
    installation: str = DEFAULT_INSTALLATION

    def client(self) -> Client:
        return Client(self.url)

    def database(self) -> str:
        if self.database_url is None:
            raise Misconfigured(
                "this needs the database: run it where `ragindex up` runs (its folder is --data), "
                "or set RAGINDEX_DATABASE_URL"
            )
        return self.database_url


def find(url: str | None, data: Path | None, environment: Mapping[str, str] = os.environ) -> Address:
    """``url`` is what the option or RAGINDEX_URL said."""
    run = _run_file((data or DEFAULT_DATA) / RUN_FILE)
    if data is not None and url is None and not run:
        raise Misconfigured(f"no `ragindex up` runs with {data}; start it with --data {data}, or name another --url")
    return Address(
        url=(url or run.get("url") or DEFAULT_URL).rstrip("/"),
        database_url=environment.get("RAGINDEX_DATABASE_URL") or run.get("database_url"),
        installation=environment.get("RAGINDEX_INSTALLATION") or run.get("installation") or DEFAULT_INSTALLATION,
    )


def _run_file(path: Path) -> dict[str, Any]:
    """Nothing when there is none: then no `ragindex up` runs here."""
    try:
        decoded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise Misconfigured(f"{path} belongs to another user; run this as the user of `ragindex up`") from error
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path} cannot be read ({error}); remove it and start `ragindex up` again") from error
    return decoded if isinstance(decoded, dict) else {}
