"""``ragindex search`` and ``ragindex answer``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ragindex_core.errors import InvalidInput
from ragindex_local.cli import address
from ragindex_local.cli.command import command, index_argument, service_options
from ragindex_local.cli.failures import ExitCode
from ragindex_local.cli.output import as_json, dim, indented, note, say, strong
from ragindex_local.client import Client, IndexName

_MODES = click.Choice(["hybrid", "vector", "keyword"])
_LINES_OF_A_RESULT = 6


def _filter(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return {"filter": json.loads(text)}
    except ValueError as error:
        raise InvalidInput.field("--filter", f"is not JSON: {error}") from error


@command("search")
@index_argument()
@click.argument("query")
@click.option("--top-k", type=click.IntRange(1, 100), help="How many results.  [default: of the index]")
@click.option("--mode", type=_MODES, help="By meaning, by words, or both.  [default: of the index]")
@click.option("--filter", "filter_", metavar="JSON", help='Only matching documents: {"equals": {"key": …, "value": …}}')
@click.option("--by-document", is_flag=True, help="Only the best passage of each document.")
@service_options
def search(
    index: IndexName,
    query: str,
    top_k: int | None,
    mode: str | None,
    filter_: str | None,
    by_document: bool,
    url: str | None,
    data: Path | None,
    json_: bool,
) -> None:
    """Find passages."""
    body: dict[str, Any] = {"query": query, **_filter(filter_)}
    body |= {name: value for name, value in (("top_k", top_k), ("mode", mode)) if value is not None}
    if by_document:
        body["group_by"] = "document"
    found = address.find(url, data).client().post(f"{index.path}/search", body)
    if json_:
        as_json(found)
    else:
        _show_results(found)
    if not found["results"]:
        click.get_current_context().exit(ExitCode.NOTHING_FOUND)


def _show_results(found: dict[str, Any]) -> None:
    if found.get("degraded"):
        note(f"answered {found['degraded']}")
    if not found["results"]:
        note("nothing found")
    for place, result in enumerate(found["results"], start=1):
        say(f"{place:>2}. {strong(_title(result['document']))}  {dim(_place(result['location']))}")
        scores = ", ".join(f"{arm} {value:.3f}" for arm, value in result["scores"].items())
        say(dim(f"    {result['score']:.3f} ({scores})  {result['document']['uri']}"))
        say(indented(result["text"], "    ", _LINES_OF_A_RESULT))
        say()


def _title(document: dict[str, Any]) -> str:
    return document.get("title") or str(document["uri"]).rsplit("/", 1)[-1]


def _place(location: dict[str, Any]) -> str:
    """Where in its document, as a person would look it up."""
    parts = []
    if page := location.get("page"):
        last = location.get("page_end", page)
        parts.append(f"p. {page}" if last == page else f"p. {page}-{last}")
    if sheet := location.get("sheet"):
        parts.append(f"{sheet}!{location['cells']}" if location.get("cells") else sheet)
    if (start := location.get("start_ms")) is not None:
        parts.append(f"{start // 60000}:{start // 1000 % 60:02d}")
    parts += location.get("headings", [])[-2:]
    return " › ".join(parts)


@command("answer")
@index_argument()
@click.argument("question")
@click.option("--top-k", type=click.IntRange(1, 100), help="How many passages it may rest on.")
@click.option("--filter", "filter_", metavar="JSON", help="Only from matching documents, as for search.")
@click.option("--conversation", metavar="UUID", help="Ask on, after the answer that showed this conversation.")
@service_options
def answer(
    index: IndexName,
    question: str,
    top_k: int | None,
    filter_: str | None,
    conversation: str | None,
    url: str | None,
    data: Path | None,
    json_: bool,
) -> None:
    """Answer a question, with citations that can be checked."""
    body: dict[str, Any] = {"question": question, **_filter(filter_)}
    body |= {name: value for name, value in (("top_k", top_k), ("conversation_id", conversation)) if value is not None}
    client, path = address.find(url, data).client(), f"{index.path}/answer"
    if json_:
        done = client.post(path, body)
        as_json(done)
    else:
        done = _streamed(client, path, body) if sys.stdout.isatty() else client.post(path, body)
        _show_answer(done, said=sys.stdout.isatty())
    if done["outcome"] == "NoEvidence":
        click.get_current_context().exit(ExitCode.NOTHING_FOUND)


def _streamed(client: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Words as they come, to a person who watches; the whole answer at the end."""
    done: dict[str, Any] = {}
    for event in client.stream(path, {**body, "stream": True}):
        if event.name == "token":
            say(event.data["text"], end="")
            sys.stdout.flush()
        elif event.name == "done":
            done = event.data
    say()
    return done


def _show_answer(done: dict[str, Any], *, said: bool) -> None:
    if not said:
        say(done["answer"])
    if done.get("degraded"):
        note(str(done["degraded"]))
    if done["citations"]:
        say()
    for citation in done["citations"]:
        place = _place(citation["location"])
        say(f"[{citation['marker']}] {strong(_title(citation['document']))}{'  ' + dim(place) if place else ''}")
        say(indented(f"“{citation['quote']}”", "    "))
        say(dim(f"    {citation['document']['uri']}"))
    if done["outcome"] == "Extractive":
        note("\nThese are the best passages word for word; spec.generation.routes names models that write answers.")
