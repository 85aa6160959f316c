"""What is said of a document beside it: in its source's listing, its sidecar, or the fields of its upload."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ragindex_core.document import DocumentReason, MetadataValue
from ragindex_core.errors import DocumentRejected
from ragindex_core.ports import Source
from ragindex_db.queue import Claim

MOST_KEYS = 50
MOST_CHARACTERS = 2048
#: Beyond it, whole numbers are floats to whoever reads JSON; one that a float cannot hold would be another there.
MOST_EXACT = 2**53
#: What the database cannot keep: NUL, and halves of characters.
_UNWRITABLE = re.compile(r"[\x00\ud800-\udfff]")


def sidecar_attributes(source: Source, claim: Claim) -> dict[str, MetadataValue]:
    """What the source's listing, the sidecar or the upload's fields tell; a broken sidecar rejects the document."""
    given: dict[str, MetadataValue] = dict(claim.source_metadata)
    if claim.sidecar_version is not None:
        given.update(_attributes(source.sidecar(claim.key)))
    return given


def _attributes(sidecar: Mapping[str, object]) -> dict[str, MetadataValue]:
    """Bedrock's form: {"metadataAttributes": {key: value}}, a value plain or as {"value": {"type", …}}."""
    attributes = sidecar.get("metadataAttributes")
    if not isinstance(attributes, Mapping):
        raise _broken('has no object "metadataAttributes"')
    if len(attributes) > MOST_KEYS:
        raise _broken(f"has more than {MOST_KEYS} attributes")
    return {str(key): _value(str(key), _plain(value)) for key, value in attributes.items()}


def _plain(value: object) -> object:
    """The value inside Bedrock's long form, where it is used."""
    if isinstance(value, Mapping) and isinstance(inner := value.get("value"), Mapping):
        kind = str(inner.get("type", "")).lower()
        field = {
            "string": "stringValue",
            "number": "numberValue",
            "boolean": "booleanValue",
            "string_list": "stringListValue",
        }
        return inner.get(field.get(kind, ""), value)
    return value


def _value(key: str, value: object) -> MetadataValue:
    if _UNWRITABLE.search(key):
        raise _broken(f"has an attribute {key!r}, which is no text")
    if isinstance(value, int | float):
        return _number(key, value)
    if isinstance(value, str) and len(value) <= MOST_CHARACTERS:
        return _text(key, value)
    if isinstance(value, list) and all(isinstance(item, str) and len(item) <= MOST_CHARACTERS for item in value):
        return [_text(key, item) for item in value]
    raise _broken(f'gives "{key}" a value that is no string, number, boolean or list of strings')


def _number(key: str, value: float) -> MetadataValue:
    if isinstance(value, int) and abs(value) <= MOST_EXACT:
        return value
    try:
        held = float(value)
    except OverflowError:
        held = math.inf
    if not math.isfinite(held) or held != value:
        raise _broken(f'gives "{key}" a number that is too large to keep')
    return held


def _text(key: str, value: str) -> str:
    if _UNWRITABLE.search(value):
        raise _broken(f'gives "{key}" a value that is no text')
    return value


def _broken(what: str) -> DocumentRejected:
    return DocumentRejected(DocumentReason.CORRUPT, f"the .metadata.json beside it {what}")
