"""Quantities as numbers, and resources that no pod could have. A real API server is asked about those in tests/kube."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_core.object.quantity import amount, resource_problems

Quantities = dict[str, str]


@pytest.mark.parametrize(
    ("requests", "limits", "field", "said"),
    [
        ({"cpu": "3"}, {"cpu": "2900m"}, "r.requests.cpu", "must not be more than its limit, 2900m"),
        ({"nvidia.com/gpu": "1"}, {}, "r.requests.nvidia.com/gpu", "must have a limit of the same amount"),
        ({}, {"nvidia.com/gpu": "500m"}, "r.limits.nvidia.com/gpu", "must be a whole number, not 500m"),
        ({}, {"gpu": "1"}, "r.limits.gpu", "or have a domain as nvidia.com/gpu has"),
    ],
)
def test_resources_that_no_pod_could_have(requests: Quantities, limits: Quantities, field: str, said: str) -> None:
    (problem,) = resource_problems("r", requests, limits)
    assert problem.field == field
    assert said in problem.message


def test_resources_that_a_pod_may_have() -> None:
    limits = {"memory": "1024Mi", "nvidia.com/gpu": "1"}
    assert list(resource_problems("r", {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}, limits)) == []


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("0", "0"),
        ("250m", "0.25"),
        ("1.5", "1.5"),
        ("2k", "2000"),
        ("3M", "3000000"),
        ("1G", "1000000000"),
        ("1T", "1000000000000"),
        ("1Ki", "1024"),
        ("1.5Mi", "1572864"),
        ("4Gi", "4294967296"),
        ("1Ti", "1099511627776"),
    ],
)
def test_a_quantity_is_the_number_that_kubernetes_takes_it_for(quantity: str, number: str) -> None:
    assert amount(quantity) == Decimal(number)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_quantities_compare_across_units(number: int) -> None:
    assert amount(f"{number * 1000}m") == amount(f"{number}")
    assert amount(f"{number}Gi") == amount(f"{number * 1024}Mi") == amount(f"{number * 1024 * 1024}Ki")
    assert amount(f"{number}G") <= amount(f"{number}Gi") < amount(f"{number + 1}T")
