"""When a listing is too small to be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.sync.shrink import ALWAYS_ALLOWED, Listing, shrunk


@pytest.mark.parametrize(
    ("listing", "percent", "guarded"),
    [
        pytest.param(Listing("docs", 100, 51, 49), 50, True, id="more than half gone"),
        pytest.param(Listing("docs", 100, 50, 50), 50, False, id="exactly half is not more than half"),
        pytest.param(Listing("docs", 12, 10, 2), 50, False, id="ten may always go"),
        pytest.param(Listing("docs", 12, 11, 1), 50, True, id="eleven may not"),
        pytest.param(Listing("docs", 3, 3, 0), 100, True, id="an empty listing is never believed"),
        pytest.param(Listing("docs", 0, 0, 0), 0, False, id="a source that always was empty"),
        pytest.param(Listing("docs", 100, 11, 89), 0, True, id="nothing may go beyond ten"),
        pytest.param(Listing("docs", 100, 99, 500), 50, True, id="new documents do not make up for lost ones"),
        pytest.param(
            Listing("docs", 100, 99, 1), 100, False, id="everything but the last may go when the person says so"
        ),
    ],
)
def test_the_guard(listing: Listing, percent: int, guarded: bool) -> None:
    assert shrunk(listing, percent) is guarded


@given(known=st.integers(1, 10_000), share=st.floats(0, 1), added=st.integers(1, 100), percent=st.integers(0, 100))
def test_a_laxer_limit_never_guards_more(known: int, share: float, added: int, percent: int) -> None:
    gone = round(known * share)
    listing = Listing("docs", known, gone, known - gone + added)
    if not shrunk(listing, percent):
        assert not shrunk(listing, min(percent + 1, 100))
    if gone <= ALWAYS_ALLOWED:
        assert not shrunk(listing, percent)
