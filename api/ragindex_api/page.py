"""The page at ``/docs``: everything the service can do, on one page that needs nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any

from ragindex_api.outline import Operation, Row, Schema, operations, schemas

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f3f1;border-radius:4px;padding:.1em .3em}
h2{margin-top:2.5rem;border-bottom:1px solid #ddd}h3{margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #eee}
.method{display:inline-block;min-width:4.5em;font-weight:600}nav a{display:block;text-decoration:none;color:#0b5394}
"""


#: Nothing on it comes from anywhere, and nobody shows it within a page of theirs.
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)


def page(document: Mapping[str, Any]) -> str:
    info = document["info"]
    listed = list(operations(document))
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{_text(info['description'])}</p><p><a href='openapi.json'>openapi.json</a></p><nav>",
        *(f"<a href='#{_anchor(each)}'>{_title(each)}</a>" for each in listed),
        "</nav><h2>Operations</h2>",
        *(part for each in listed for part in _operation(each)),
        "<h2>Schemas</h2>",
        *(part for each in schemas(document) for part in _schema(each)),
        "</html>",
    ]
    return "".join(parts)


def _title(operation: Operation) -> str:
    return (
        f"<span class=method>{operation.method}</span><code>{escape(operation.path)}</code> {escape(operation.summary)}"
    )


def _anchor(operation: Operation) -> str:
    return escape(f"{operation.method}{operation.path}", quote=True)


def _operation(operation: Operation) -> Iterator[str]:
    yield f"<h3 id='{_anchor(operation)}'>{_title(operation)}</h3><p>{_text(operation.description)}</p>"
    if operation.parameters:
        yield "<table><tr><th>Parameter<th>In<th>Type<th>"
        for place, row in operation.parameters:
            yield f"<tr><td>{_name(row)}<td>{place}<td>{_linked(row.type)}<td>{_text(row.description)}"
        yield "</table>"
    for media_type, schema in operation.bodies:
        yield f"<p>Body: <code>{escape(media_type)}</code>, {_linked(schema)}</p>"
    yield "<table><tr><th>Status<th>Type<th>"
    for reply in operation.replies:
        kinds = " or ".join(_linked(schema) for schema in reply.schemas)
        yield f"<tr><td>{reply.status}<td>{kinds}<td>{_text(reply.description)}"
    yield "</table>"


def _schema(schema: Schema) -> Iterator[str]:
    yield f"<h3 id='{escape(schema.name)}'>{escape(schema.name)}</h3><p>{_text(schema.description)}</p>"
    if schema.members:
        yield "<table><tr><th>Member<th>Type<th>"
        for row in schema.members:
            yield f"<tr><td>{_name(row)}<td>{_linked(row.type)}<td>{_text(row.description)}"
        yield "</table>"


def _name(row: Row) -> str:
    return f"<code>{escape(row.name)}</code>{'' if row.needed else ' <small>optional</small>'}"


def _linked(kind: str) -> str:
    """Names of schemas begin with a capital, and nothing else in a type does."""
    words = (
        f"<a href='#{escape(word)}'>{escape(word)}</a>" if word[:1].isupper() else escape(word)
        for word in kind.split(" ")
    )
    return " ".join(words)


def _text(text: str) -> str:
    """The little Markdown that descriptions use: code and paragraphs."""
    pieces = escape(text, quote=False).split("`")
    marked = "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
    return marked.replace("**", "").replace("\n- ", "<br>• ").removeprefix("- ").replace("\n\n", "</p><p>")
