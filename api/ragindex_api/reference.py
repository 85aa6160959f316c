"""``docs/api.md``, made from the service's own description: ``python -m ragindex_api.reference > docs/api.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragindex_api.outline import Operation, Schema, operations, schemas
from ragindex_core.errors import Unavailable

_HEAD = "<!-- Made by `python -m ragindex_api.reference`; change the code, not this file. -->"


def reference(document: Mapping[str, Any]) -> str:
    """The whole page as Markdown."""
    lines = [_HEAD, "", "# The HTTP API", "", document["info"]["description"].strip(), ""]
    lines += [
        "`GET /metrics` (Prometheus) has a port of its own. `/openapi.json` and `/docs` say what this page says.",
        "",
    ]
    lines += ["## Operations", ""]
    for operation in operations(document):
        lines += _operation(operation)
    lines += ["## Schemas", "", "Members without a mark may be absent.", ""]
    for schema in schemas(document):
        lines += _schema(schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(operation: Operation) -> Iterator[str]:
    yield from (f"### {operation.method} `{operation.path}`", "", f"{operation.summary}.", "")
    if operation.description:
        yield from (operation.description, "")
    if operation.parameters:
        rows = [
            (f"`{row.name}`{_mark(needed=row.needed)}", place, row.type, row.description)
            for place, row in operation.parameters
        ]
        yield from _table(("Parameter", "In", "Type", "What"), rows)
    for media_type, schema in operation.bodies:
        yield from (f"Body: `{media_type}`, {_linked(schema)}.", "")
    answers = [
        (reply.status, " or ".join(_linked(each) for each in reply.schemas), reply.description)
        for reply in operation.replies
    ]
    yield from _table(("Status", "Type", "What"), answers)


def _schema(schema: Schema) -> Iterator[str]:
    yield from (f"### {schema.name}", "")
    if schema.description:
        yield from (schema.description, "")
    if schema.members:
        rows = [
            (f"`{row.name}`{_mark(needed=row.needed)}", _linked(row.type), row.description) for row in schema.members
        ]
        yield from _table(("Member", "Type", "What"), rows)


def _mark(*, needed: bool) -> str:
    return " \\*" if needed else ""


def _linked(kind: str) -> str:
    return " ".join(f"[{word}](#{word.lower()})" if word[:1].isupper() else word for word in kind.split(" "))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def main() -> None:
    """No database is needed to say what the service does."""
    from ragindex_api.app import create_app
    from ragindex_api.services import Services
    from ragindex_api.settings import ApiSettings
    from ragindex_db.engine import AsyncDatabase, DatabaseSettings

    def none(_choice: object) -> Any:
        raise Unavailable("nothing is asked here")

    database = AsyncDatabase(DatabaseSettings(url="postgresql://localhost/none"))
    app = create_app(Services(database, "default", none, none), ApiSettings())
    sys.stdout.write(reference(app.openapi()))


if __name__ == "__main__":
    main()
