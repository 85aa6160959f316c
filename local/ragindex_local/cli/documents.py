"""``ragindex documents``, ``ragindex upload`` and ``ragindex delete``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ragindex_core.document import DocumentState
from ragindex_core.errors import InvalidInput
from ragindex_local.cli import address
from ragindex_local.cli.command import command, index_argument, service_options
from ragindex_local.cli.failures import ExitCode
from ragindex_local.cli.output import Progress, as_json, coloured, indented, note, progress, say, table
from ragindex_local.client import Client, IndexName

_PAGE = 500
_BLOCK = 256 * 1024


@command("documents")
@index_argument()
@click.option("--state", type=click.Choice([state.value for state in DocumentState]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@service_options
def documents(
    index: IndexName, state: str | None, limit: int | None, url: str | None, data: Path | None, json_: bool
) -> None:
    """List the documents of an index, with their state and the reason for it."""
    client = address.find(url, data).client()
    found: list[dict[str, Any]] = []
    for document in _all(client, index, state):
        found.append(document)
        if limit is not None and len(found) == limit:
            break
    if json_:
        as_json({"documents": found})
        return
    if not found:
        note("no documents" if state is None else f"no documents in state {state}")
        return
    say(table(("ID", "STATE", "REASON", "CHUNKS", "ATTEMPTS", "URI"), map(_row, found)))
    for each in found:
        if each.get("message") and state == DocumentState.FAILED:
            say(f"\n{each['uri']}")
            say(indented(each["message"]))


def _all(client: Client, index: IndexName, state: str | None) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        page = client.get(f"{index.path}/documents", state=state, limit=_PAGE, after=after)
        yield from page["documents"]
        after = page.get("next")
        if after is None:
            return


def _row(document: dict[str, Any]) -> tuple[str, ...]:
    return (
        document["id"],
        coloured(document["state"]),
        document.get("reason") or "",
        str(document["chunks"]),
        str(document["attempts"]),
        document["uri"],
    )


@command("upload")
@index_argument()
@click.argument(
    "files", metavar="FILE…", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--prefix", default="", metavar="PATH", help="Folder to file them under: PATH/name.")
@click.option("--metadata", metavar="JSON", help='To filter by: {"department": "hr"}')
@click.option("--wait", is_flag=True, help="Until each is indexed or failed, at most a minute each.")
@service_options
def upload(
    index: IndexName,
    files: tuple[Path, ...],
    prefix: str,
    metadata: str | None,
    wait: bool,
    url: str | None,
    data: Path | None,
    json_: bool,
) -> None:
    """Send documents to an index that takes uploads. One of the same name takes the former's place."""
    if metadata is not None:
        _check_json(metadata)
    client = address.find(url, data).client()
    received = []
    with progress("sending", sum(file.stat().st_size for file in files), " bytes") as bar:
        for file in files:
            name = f"{prefix.strip('/')}/{file.name}".lstrip("/")
            received.append(
                client.send(
                    f"{index.path}/documents",
                    _blocks(file, bar),
                    file.stat().st_size,
                    filename=name,
                    metadata=metadata,
                    wait="indexed" if wait else None,
                )
            )
    if json_:
        as_json({"uploads": received})
    else:
        for each in received:
            document = each["document"]
            reason = f" ({document['reason']}: {document['message']})" if document.get("reason") else ""
            say(f"{document['id']}  {coloured(document['state'])}{reason}  {document['uri']}")
    if any(each["document"]["state"] == DocumentState.FAILED for each in received):
        click.get_current_context().exit(ExitCode.FAILED)


@command("delete")
@index_argument()
@click.argument("document_ids", metavar="ID…", nargs=-1, required=True)
@service_options
def delete(index: IndexName, document_ids: tuple[str, ...], url: str | None, data: Path | None, json_: bool) -> None:
    """Delete uploaded documents, by the ids that `ragindex documents` lists, from every kept revision."""
    client = address.find(url, data).client()
    deleted = []
    for document_id in document_ids:
        proof = client.delete(f"{index.path}/documents/{quote(document_id, safe='')}")
        deleted.append(proof)
        if not json_:
            say(f"{proof['id']}  deleted, {proof['remaining_chunks']} of its chunks are left")
    if json_:
        as_json({"deleted": deleted})


def _check_json(metadata: str) -> None:
    try:
        decoded = json.loads(metadata)
    except ValueError as error:
        raise InvalidInput.field("--metadata", f"is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise InvalidInput.field("--metadata", "must be a JSON object")


def _blocks(file: Path, bar: Progress) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            yield block
            bar.advance(len(block))
