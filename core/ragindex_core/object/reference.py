"""``docs/ragindex-object.md``, made from the models: ``python -m ragindex_core.object.reference > docs/…``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ragindex_core.object.base import PATTERN_HINTS
from ragindex_core.object.reasons import ConditionType, Documented, Outcome, Reason, RequestName
from ragindex_core.object.resource import RagIndex

_HEAD = "<!-- Made by `python -m ragindex_core.object.reference`; change the code, not this file. -->"
_TEXT = """\
`apiVersion: ragindex.io/v1alpha1`, `kind: RagIndex`. The smallest one that works on a laptop:

```yaml
apiVersion: ragindex.io/v1alpha1
kind: RagIndex
metadata:
  name: handbook
spec:
  embedding: {provider: Local, model: all-minilm-l6-v2, dimensions: 384}
  sources:
    - {name: files, directory: {path: ./docs}}
```

A field that is not listed here is refused, with the name of the one that was probably meant. Without a namespace an
object is in `default`. Fields marked \\* must be given.

In a cluster the definition in `k8s/crd` says the same to the API server, which refuses the same objects, and
`kubectl explain ragindex.spec.ingestion` shows what stands here. Unknown fields are refused by `kubectl apply` and
dropped, with a warning, by `kubectl patch`. `k8s/samples` holds objects to begin with.

Only `embedding` (but not `endpointRef`) and `chunking` make up the *revision key*: a change of them builds a new
revision beside the live one. A change of anything else embeds nothing again."""


def reference() -> str:
    """The whole page as Markdown."""
    schema = RagIndex.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    lines = [_HEAD, "", "# The RagIndex object", "", *_TEXT.splitlines(), ""]
    lines += ["## spec", "", *_section("spec", definitions["RagIndexSpec"], definitions)]
    lines += ["## status", "", "Written by RagIndex; what a person writes here is lost.", ""]
    lines += _section("status", definitions["RagIndexStatus"], definitions)
    lines += ["## Conditions", "", *_list(ConditionType), "## Reasons", "", *_list(Reason)]
    lines += ["## Requests", "", "By the annotation `ragindex.io/<name>` in a cluster, by the command line locally."]
    lines += ["Each value acts once; `r2@anything` names revision r2 under a new value.", "", *_list(RequestName)]
    lines += ["How a request ended:", "", *_list(Outcome)]
    return "\n".join(lines).rstrip() + "\n"


def _section(path: str, model: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a model, then those of the models below it."""
    if path not in ("spec", "status"):
        yield from (f"### {path}", "")
        if text := model.get("description"):
            yield from (text, "")
    below: list[tuple[str, Mapping[str, Any]]] = []
    rows = []
    required = set(model.get("required", ()))
    for name, field in model.get("properties", {}).items():
        kind, inner = _kind(field, definitions)
        if inner is not None and inner.get("properties"):
            below.append((f"{path}.{name}{'[]' if kind.startswith('list') else ''}", inner))
        mark = "\\*" if name in required else ""
        text = field.get("description") or (inner or {}).get("description", "")
        rows.append(f"| `{name}`{mark} | {kind} | {_default(field)} | {text} |")
    if rows:
        yield from ("| Field | Type | Default | What |", "|---|---|---|---|", *rows, "")
    for rule in model.get("x-kubernetes-validations", ()):
        yield from (f"Rule: {rule['message']}.", "")
    for name, inner in below:
        yield from _section(name, inner, definitions)


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """The type in words with its bounds, and the model it refers to."""
    if "$ref" in field:
        found = definitions[field["$ref"].rpartition("/")[2]]
        if "enum" in found:
            return " \\| ".join(f"`{value}`" for value in found["enum"]), None
        return "object", found
    options = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return _kind({**options[0]}, definitions)
    if "x-kubernetes-int-or-string" in field:
        return "quantity", None
    if "const" in field:
        return f"`{field['const']}`", None
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"]), None
    match field.get("type"):
        case "array":
            kind, inner = _kind(field["items"], definitions)
            return f"list of {kind}{_bounds(field, 'minItems', 'maxItems')}", inner
        case "object":
            values = field.get("additionalProperties")
            kind, inner = _kind(values, definitions) if isinstance(values, Mapping) else ("text", None)
            return f"mapping to {kind}", inner
        case "integer":
            return f"integer{_bounds(field, 'minimum', 'maximum')}", None
        case "boolean":
            return "true or false", None
        case _ if field.get("format") == "date-time":
            return "time", None
        case _:
            hint = PATTERN_HINTS.get(field.get("pattern", ""))
            return f"text{_length(field)}{f': {hint}' if hint else ''}", None


def _bounds(field: Mapping[str, Any], low: str, high: str) -> str:
    least, most = field.get(low), field.get(high)
    if most is None:
        return f", at least {least}" if least else ""
    return f", {least or 0} to {most}" if low == "minimum" or least else f", at most {most}"


def _length(field: Mapping[str, Any]) -> str:
    least, most = field.get("minLength", 0), field.get("maxLength")
    if most is None:
        return ""
    return f", {most} characters" if least == most else f", up to {most} characters"


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", {}, [], ()) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _list(members: type[Documented]) -> Iterator[str]:
    yield from ("| | |", "|---|---|")
    for member in members:
        yield f"| `{member.value}` | {member.summary} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(reference())
