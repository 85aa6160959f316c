"""Whatever is stored can be said."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from ragindex_api.encoding import encode

_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=5)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | _TEXT | st.integers(-(10**400), 10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
)


@given(_ANYTHING)
def test_nothing_fails(content: object) -> None:
    json.loads(encode(content))


@given(st.integers())
def test_whole_numbers_of_64_bits_are_kept_and_larger_ones_are_as_near_as_a_double(number: int) -> None:
    said = json.loads(encode({"n": [number]}))["n"][0]
    assert said == number or (abs(number) >= 2**63 and math.isclose(said, number))


def test_what_no_double_holds_is_null() -> None:
    assert encode({"n": 10**400}) == b'{"n":null}'
