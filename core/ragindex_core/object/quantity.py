"""Kubernetes' quantities as numbers, and what an API server demands of the resources of a pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from ragindex_core.errors import FieldProblem

_UNITS = {"m": Decimal("0.001"), "": Decimal(1)}
_UNITS |= {letter: Decimal(1000) ** power for power, letter in enumerate("kMGT", start=1)}
_UNITS |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", start=1)}

#: Nodes have these by themselves, and promise more of them than there is.
_OVERCOMMITTED = ("cpu", "memory", "ephemeral-storage")


def amount(quantity: str) -> Decimal:
    """A Kubernetes quantity as a number, so that 1Gi, 1024Mi and 1073741824 compare as equal."""
    number = quantity.rstrip("kKMGTim")
    return Decimal(number) * _UNITS[quantity[len(number) :]]


def resource_problems(field: str, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[FieldProblem]:
    """Why an API server would refuse a pod with these resources; ``field`` is the one that holds both."""
    for name, quantity in requests.items():
        if problem := _problem(name, quantity) or _beside_its_limit(name, quantity, limits.get(name)):
            yield FieldProblem(f"{field}.requests.{name}", problem)
    for name, quantity in limits.items():
        if problem := _problem(name, quantity):
            yield FieldProblem(f"{field}.limits.{name}", problem)


def _problem(name: str, quantity: str) -> str | None:
    if name in _OVERCOMMITTED:
        return None
    if "/" not in name or name.startswith("requests."):
        return f"must be one of {', '.join(_OVERCOMMITTED)}, or have a domain as nvidia.com/gpu has"
    return f"must be a whole number, not {quantity}" if amount(quantity) % 1 else None


def _beside_its_limit(name: str, request: str, limit: str | None) -> str | None:
    if name in _OVERCOMMITTED:
        exceeds = limit is not None and amount(request) > amount(limit)
        return f"must not be more than its limit, {limit}" if exceeds else None
    if limit is None or amount(request) != amount(limit):
        return "must have a limit of the same amount: no node promises more of it than there is"
    return None
