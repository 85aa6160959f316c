"""The CustomResourceDefinition, made from the models: ``python -m ragindex_core.object.crd > k8s/crd/ragindexes.yaml``.

Pydantic's JSON schema is turned into the structural schema that an API server takes: references are inlined, what may
be None is what may be left out, and what that dialect lacks (patterns of a mapping's keys) is said as a CEL rule.

Defaults are written out to the last field. An API server checks a default against the rules of its own level before
the defaults below it are filled in, so that ``default: {}`` would be refused wherever a rule compares two fields.

The status is open: it names the members of the closed lists, but does not enforce them. An operator that is one
release ahead of the installed definition, or behind it after a rollback, must still be able to write its status.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from ragindex_core.object.base import PATTERN_HINTS
from ragindex_core.object.resource import API_VERSION, KIND, RagIndex
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.object.status import RagIndexStatus

_GROUP, _, _VERSION = API_VERSION.partition("/")
_SINGULAR, _PLURAL = "ragindex", "ragindexes"
_HEAD = "# Made by `python -m ragindex_core.object.crd > k8s/crd/ragindexes.yaml`; change the models, not this file.\n"

#: Kept as they are; all else of pydantic's dialect is translated below or left out.
_KEPT = ("type", "format", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
         "minProperties", "maxProperties", "anyOf", "x-kubernetes-int-or-string", "x-kubernetes-list-type",
         "x-kubernetes-list-map-keys", "x-kubernetes-validations")  # fmt: skip

#: A word of a closed list, wherever the list is not enforced.
_WORD = {"type": "string", "maxLength": 63}

_STATUS_TEXT = "What RagIndex says of the object. Written by RagIndex; what a person writes here is lost."


def _condition(type_: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


_COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Ready", "string", _condition("Ready", "status"), 0),
    ("Reason", "string", _condition("Ready", "reason"), 0),
    ("Model", "string", ".status.activeRevision.model", 0),
    ("Docs", "integer", ".status.documents.indexed", 0),
    ("Failed", "integer", ".status.documents.failed", 0),
    ("Suspended", "boolean", ".spec.suspend", 0),
    ("Synced", "date", ".status.ingestion.lastSuccessfulTime", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Revision", "string", ".status.activeRevision.id", 1),
    ("Message", "string", _condition("Ready", "message"), 1),
)


def definition() -> dict[str, Any]:
    """The whole CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{_PLURAL}.{_GROUP}",
            # `helm uninstall` must not take every index along.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/name": "ragindex", "app.kubernetes.io/part-of": "ragindex"},
        },
        "spec": {
            "group": _GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": _PLURAL,
                "singular": _SINGULAR,
                "shortNames": ["rgi"],
                "categories": ["ragindex"],
            },
            "versions": [
                {
                    "name": _VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".spec.databaseRef.name"}],
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def manifest() -> str:
    """The definition as the YAML that is kept in ``k8s/crd``."""
    plain = json.loads(json.dumps(definition()))  # no list twice: YAML would write the second as an alias
    return _HEAD + yaml.safe_dump(plain, sort_keys=False, width=118, allow_unicode=True)


def _column(name: str, type_: str, path: str, priority: int) -> dict[str, Any]:
    return {"name": name, "type": type_, "jsonPath": path, **({"priority": priority} if priority else {})}


def _root() -> dict[str, Any]:
    schema = RagIndex.model_json_schema(by_alias=True)
    return {
        "description": RagIndexSpec.__doc__,
        "type": "object",
        "required": ["spec"],
        # The fields of metadata are not in the schema, so that no path can lead to them.
        "x-kubernetes-validations": [{**rule, "fieldPath": ".metadata"} for rule in schema["x-kubernetes-validations"]],
        "properties": {
            "apiVersion": {"description": f"Version of this form of the object: {API_VERSION}.", "type": "string"},
            "kind": {"description": f"Always {KIND}.", "type": "string"},
            "metadata": {"type": "object"},  # an API server takes no description here, it has its own
            "spec": _structural(RagIndexSpec, open_=False),
            "status": {**_structural(RagIndexStatus, open_=True), "description": _STATUS_TEXT},
        },
    }


def _structural(model: type[BaseModel], *, open_: bool) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return _Translation(schema.get("$defs", {}), open_).object(schema, model)


class _Translation:
    """From pydantic's JSON schema of one model, and of those below it, to a structural schema."""

    def __init__(self, definitions: Mapping[str, Any], open_: bool) -> None:
        self._definitions = definitions
        self._open = open_

    def object(self, schema: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
        fields = {field.alias: field for field in model.model_fields.values()}
        result: dict[str, Any] = {"description": schema["description"], "type": "object"}
        if required := schema.get("required"):
            result["required"] = required
        if rules := schema.get("x-kubernetes-validations"):
            result["x-kubernetes-validations"] = rules
        if properties := schema["properties"]:
            result["properties"] = {name: self._field(node, fields[name]) for name, node in properties.items()}
        return result

    def _field(self, node: Mapping[str, Any], field: FieldInfo) -> dict[str, Any]:
        result = self._node(node, field)
        default = None if self._open else _written_out(field)
        result["description"] = _explained(str(field.description), result, self._words(node), default)
        return result if default is None else {**result, "default": default}

    def _node(self, node: Mapping[str, Any], field: FieldInfo) -> dict[str, Any]:
        node = self._resolved(node)
        if "properties" in node:
            return self.object(node, _model_of(field))
        described = {"description": node.get("description")}  # stays the first key; _field fills it in
        if "patternProperties" in node or "additionalProperties" in node:
            return {**described, **self._mapping(node, field)}
        if "enum" in node and self._open:
            return {**described, **_WORD}
        kept = {key: node[key] for key in _KEPT if key in node}
        if "items" in node:
            items = self._node(node["items"], field)
            kept["items"] = {key: value for key, value in items.items() if value is not None}
        return {**described, **kept}

    def _mapping(self, node: Mapping[str, Any], field: FieldInfo) -> dict[str, Any]:
        """Keys have no schema of their own in this dialect, so what holds for them becomes a rule."""
        ((pattern, values),) = node.get("patternProperties", {"": node.get("additionalProperties")}).items()
        result = {"type": "object", "maxProperties": node["maxProperties"]}
        if pattern:
            most = self._resolved(node["propertyNames"])["maxLength"]
            result["x-kubernetes-validations"] = [
                {
                    "rule": f"self.all(key, size(key) <= {most} && key.matches(r'{pattern}'))",
                    "message": f"every key must be {PATTERN_HINTS[pattern]}, of at most {most} characters",
                }
            ]
        inner = self._node(values, field)
        result["additionalProperties"] = {key: value for key, value in inner.items() if value is not None}
        return result

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """The node without references and without null: what may be None is what may be left out."""
        if "$ref" in node:
            return self._resolved(self._definitions[node["$ref"].rpartition("/")[2]])
        options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
        return self._resolved(options[0]) if len(options) == 1 else node

    def _words(self, node: Mapping[str, Any]) -> list[str]:
        """The closed list of a field of the status, which its description names."""
        return self._resolved(node).get("enum", []) if self._open else []


def _explained(text: str, schema: Mapping[str, Any], words: list[str], default: Any) -> str:
    """What ``kubectl explain`` says of a field: the model's words where they go further, form, default and rules."""
    of_the_model = schema.get("description") or ""
    parts = [of_the_model if of_the_model.startswith(text) else text]
    pattern = schema.get("pattern") or schema.get("items", {}).get("pattern")
    if hint := PATTERN_HINTS.get(pattern):
        parts.append(f"Form: {hint}.")
    if words:
        parts.append(f"One of {', '.join(words)}.")
    if default is not None and not isinstance(default, dict):
        parts.append(f"Default: {str(default).lower() if isinstance(default, bool) else default}.")
    for guarded in (schema, schema.get("items", {})):
        parts += [f"Rule: {rule['message']}." for rule in guarded.get("x-kubernetes-validations", ())]
    return " ".join(parts)


def _written_out(field: FieldInfo) -> Any:
    """The default as an API server fills it in. What is empty says no more than what is absent, and is left out."""
    if field.is_required():
        return None
    return _without_empty(to_jsonable_python(field.get_default(call_default_factory=True), by_alias=True))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        value = {key: item for key, item in kept.items() if item is not None}
    return None if value in (None, "", [], {}) else value


def _model_of(field: FieldInfo) -> type[BaseModel]:
    """The model that a field holds, alone, optionally, or as the entries of a list or mapping."""
    every = (field.annotation, *get_args(field.annotation))
    return next(kind for kind in every if isinstance(kind, type) and issubclass(kind, BaseModel))


if __name__ == "__main__":
    sys.stdout.write(manifest())
