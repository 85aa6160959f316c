"""What every model of the object shares: frozen, closed, camelCase outside, rules kept beside the fields they guard.

A rule is written once as data: its CEL text goes into the generated schema, where the API server checks it, and its
Python form is checked here, with the same message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic.functional_validators import BeforeValidator
from pydantic_core import PydanticCustomError

#: The type of the error that carries broken rules; ``ctx["violations"]`` holds (field below the model, message) pairs.
RULES_ERROR = "ragindex_rules"


@dataclass(frozen=True, slots=True)
class Rule:
    """Something a schema's types and bounds cannot say. ``field`` is where a reader is sent, below the model."""

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""


@dataclass(frozen=True, slots=True)
class TransitionRule:
    """A rule about an edit: ``holds(new, old)``."""

    cel: str
    message: str
    holds: Callable[[Any, Any], bool]
    field: str = ""


def _add_rules(schema: dict[str, Any], model: type[Model]) -> None:
    rules: list[dict[str, str]] = []
    every: tuple[Rule | TransitionRule, ...] = (*model.rules, *model.transition_rules)
    for rule in every:
        entry = {"rule": rule.cel, "message": rule.message}
        if rule.field:
            entry["fieldPath"] = f".{rule.field}"
        rules.append(entry)
    if rules:
        schema["x-kubernetes-validations"] = rules


class Model(BaseModel):
    """A part of the object. Equal wire forms make equal models."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra=_add_rules,
        use_attribute_docstrings=False,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    transition_rules: ClassVar[tuple[TransitionRule, ...]] = ()

    @model_validator(mode="after")
    def _keep_rules(self) -> Model:
        broken = tuple((rule.field, rule.message) for rule in self.rules if not rule.holds(self))
        if broken:
            summary = "; ".join(message for _, message in broken)
            raise PydanticCustomError(RULES_ERROR, "{summary}", {"summary": summary, "violations": broken})
        return self


# The types below carry the bounds that keep CEL's cost estimate finite and the stored object small.

Bool: TypeAlias = StrictBool


def int32(low: int, high: int) -> Any:
    return Field(strict=True, ge=low, le=high, json_schema_extra={"format": "int32"})


def int64(low: int, high: int) -> Any:
    return Field(strict=True, ge=low, le=high, json_schema_extra={"format": "int64"})


#: A DNS label, as names of Kubernetes objects and of things named in the chart's values are.
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"

Label: TypeAlias = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
Subdomain: TypeAlias = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]


def _integer_as_text(value: object) -> object:
    return str(value) if type(value) is int and value < 2**63 else value


#: A Kubernetes quantity: ``500m``, ``2Gi``, ``2``. A bare integer is taken as its text, where an API server takes it.
Quantity: TypeAlias = Annotated[
    str,
    BeforeValidator(_integer_as_text),
    Field(min_length=1, max_length=32, pattern=_QUANTITY),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "minimum": 0,
            "pattern": _QUANTITY,
            "x-kubernetes-int-or-string": True,
        }
    ),
]

#: What to write instead, for the patterns a person meets.
PATTERN_HINTS: dict[str, str] = {
    DNS_LABEL: 'lower-case letters, digits and "-", beginning and ending with a letter or digit',
    DNS_SUBDOMAIN: 'lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit',
    _QUANTITY: "a Kubernetes quantity such as 500m, 2 or 4Gi",
}


def hinted(pattern: str, hint: str) -> str:
    """Register what a person should write for ``pattern``, and return the pattern."""
    PATTERN_HINTS[pattern] = hint
    return pattern
