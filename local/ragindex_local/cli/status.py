"""``ragindex status``: how indexes are, once or as they change."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ragindex_core.object.reasons import ConditionType, Reason
from ragindex_local.cli import address
from ragindex_local.cli.command import command, index_argument, service_options
from ragindex_local.cli.output import ago, as_json, coloured, dim, indented, say, strong, table
from ragindex_local.client import Client, IndexName

_LOOK_SECONDS = 1.0
#: Statements whose being true is bad news, or not the usual.
_QUIET_WHEN_FALSE = frozenset({"Degraded", "Suspended", "Paused", "Throttled", "Reconciling", "Stalled"})


@command("status")
@index_argument(required=False)
@click.option("--watch", is_flag=True, help="Go on and show every change, until Ctrl-C.")
@service_options
def status(index: IndexName | None, watch: bool, url: str | None, data: Path | None, json_: bool) -> None:
    """Show all indexes, or one of them with its conditions, revisions and documents."""
    client = address.find(url, data).client()
    for seen in _changes(client, index) if watch else (_look(client, index),):
        if json_:
            as_json(seen)
            continue
        if watch and sys.stdout.isatty():
            click.clear()
        say(_overview(seen["items"]) if index is None else one(seen))
        if watch and not sys.stdout.isatty():
            say()


def _look(client: Client, index: IndexName | None) -> dict[str, Any]:
    return client.get("/v1/indexes" if index is None else index.path)


def _changes(client: Client, index: IndexName | None) -> Iterator[dict[str, Any]]:
    before: dict[str, Any] | None = None
    while True:
        seen = _look(client, index)
        if seen != before:
            yield seen
        before = seen
        time.sleep(_LOOK_SECONDS)  # the service has no stream of status


def condition(item: dict[str, Any], type_: str) -> dict[str, Any]:
    found = item.get("status", {}).get("conditions", ())
    return next((each for each in found if each["type"] == type_), {"status": "Unknown", "reason": ""})


def _overview(items: list[dict[str, Any]]) -> str:
    if not items:
        return "There are no indexes. `ragindex up -f FILE` makes the one that FILE describes."
    rows = []
    for item in items:
        ready, state = condition(item, "Ready"), item.get("status", {})
        counts, ingestion = state.get("documents", {}), state.get("ingestion", {})
        rows.append(
            (
                f"{item['metadata']['namespace']}/{item['metadata']['name']}",
                coloured(ready["status"]),
                ready["reason"],
                item["spec"]["embedding"]["model"],
                str(counts.get("indexed", 0)),
                str(counts.get("failed", 0)),
                ago(ingestion.get("lastSuccessfulTime")),
            )
        )
    return table(("INDEX", "READY", "REASON", "MODEL", "INDEXED", "FAILED", "SYNCED"), rows)


def one(item: dict[str, Any]) -> str:
    state = item.get("status", {})
    metadata = item["metadata"]
    parts = [strong(f"{metadata['namespace']}/{metadata['name']}") + dim(f"  generation {metadata.get('generation')}")]
    parts += ["", *_conditions(state)]
    counts = state.get("documents", {})
    named = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("indexed", "pending", "failed"))
    parts += ["", f"Documents   {counts.get('total', 0)}: {named}"]
    parts += _ingestion(state.get("ingestion", {}))
    parts += _database(state.get("database", {}))
    rows = list(_revisions(state))
    if rows:
        parts += ["", table(("REVISION", "STATE", "MODEL", "DIMENSIONS", "DOCUMENTS", "CHUNKS", "PROMOTED"), rows)]
    if steps := list(_next_steps(item, state)):
        parts += ["", *steps]
    handled = state.get("handled", {})
    if handled:
        parts += ["", table(("REQUEST", "VALUE", "OUTCOME", "WHEN", "MESSAGE"), _handled(handled))]
    return "\n".join(parts)


def _conditions(state: dict[str, Any]) -> Iterator[str]:
    for each in state.get("conditions", ()):
        quiet = each["type"] in _QUIET_WHEN_FALSE and each["status"] == "False"
        if quiet:
            continue
        bad = each["type"] in _QUIET_WHEN_FALSE
        shown = coloured("False" if bad else each["status"], each["status"])
        yield f"{each['type']:<18}{shown}{' ' * (8 - len(each['status']))}{each['reason']}"
        if each.get("message"):
            yield dim(indented(each["message"], " " * 26))


def _next_steps(item: dict[str, Any], state: dict[str, Any]) -> Iterator[str]:
    """What waits for a person, as the command to type."""
    metadata = item["metadata"]
    index = f"{metadata['namespace']}/{metadata['name']}"
    pending = state.get("pendingRevision", {}).get("id")
    match condition(item, ConditionType.PROGRESSING)["reason"]:
        case Reason.AWAITING_PROMOTION | Reason.TOO_FEW_DOCUMENTS:
            yield f"To let the new revision serve:  ragindex promote {index} {pending}"
        case Reason.AWAITING_APPROVAL:
            yield f"To pay for it:  ragindex approve {index} {pending}"
        case Reason.SOURCE_SHRUNK:
            yield f"To delete what is gone:  ragindex accept-shrink {index} {state['ingestion']['lastRun']}"
    if state.get("documents", {}).get("failed"):
        yield f"To see what failed:  ragindex documents {index} --state Failed"


def _ingestion(ingestion: dict[str, Any]) -> Iterator[str]:
    line = f"Synced      {ago(ingestion.get('lastSuccessfulTime'))}"
    if ingestion.get("nextScheduledTime"):
        line += f", next {ago(ingestion['nextScheduledTime'])}"
    if failures := ingestion.get("consecutiveFailures"):
        line += f", {failures} failed since"
    yield line


def _database(database: dict[str, Any]) -> Iterator[str]:
    if not database:
        return
    size = database.get("sizeBytes")
    shown = f", {size / 1_048_576:.1f} MiB" if size is not None else ""
    yield (
        f"Database    PostgreSQL {database.get('serverVersion', '?')}, pgvector {database.get('pgvectorVersion', '?')}"
        f", vector index {database.get('indexState', 'unknown')}{shown}"
    )


def _revisions(state: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    found = [("active", state.get("activeRevision")), ("pending", state.get("pendingRevision"))]
    found += [("retained", each) for each in state.get("retainedRevisions", ())]
    for name, each in found:
        if each:
            documents = str(each.get("documents", 0))
            if "documentsTotal" in each:
                documents += f"/{each['documentsTotal']}"
            yield (
                each["id"],
                name,
                f"{each['provider']}/{each['model']}",
                str(each["dimensions"]),
                documents,
                str(each.get("chunks", 0)),
                ago(each.get("promotedAt")) if each.get("promotedAt") else "",
            )


def _handled(handled: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, each in sorted(handled.items()):
        yield name, each["value"], coloured(each["outcome"]), ago(each.get("time")), each.get("message", "")
