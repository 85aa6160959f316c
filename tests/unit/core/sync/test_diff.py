"""The difference between what is known of a source and what it lists."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.ports import SourceObject
from ragindex_core.sync.diff import ChangeKind, KnownObject, OutOfOrder, diff


def known(key: str, version: str = "1", sidecar: str | None = None) -> KnownObject:
    return KnownObject(key, version, sidecar_version=sidecar)


def listed(key: str, version: str = "1", sidecar: str | None = None) -> SourceObject:
    return SourceObject(key, f"file:///{key}", version, 1, sidecar_version=sidecar)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        pytest.param([], [listed("a")], ChangeKind.ADDED, id="a new object is added"),
        pytest.param([known("a")], [], ChangeKind.REMOVED, id="one no longer listed is removed"),
        pytest.param([known("a")], [listed("a")], ChangeKind.UNCHANGED, id="the same token means the same bytes"),
        pytest.param([known("a")], [listed("a", "2")], ChangeKind.SUSPECT, id="another token is looked into"),
        pytest.param([known("a")], [listed("a", sidecar="1")], ChangeKind.METADATA, id="a sidecar appeared"),
        pytest.param([known("a", sidecar="1")], [listed("a")], ChangeKind.METADATA, id="a sidecar went"),
        pytest.param([known("a")], [listed("a", "2", "1")], ChangeKind.SUSPECT, id="bytes come before sidecars"),
    ],
)
def test_one_object(before: list[KnownObject], now: list[SourceObject], kind: ChangeKind) -> None:
    assert [change.kind for change in diff(before, now)] == [kind]


states = st.dictionaries(
    st.text("ab/é", min_size=1, max_size=4),
    st.tuples(st.sampled_from("123"), st.none() | st.sampled_from("12")),
    max_size=12,
)


@given(states, states)
def test_carrying_the_difference_out_makes_both_sides_equal(
    before: dict[str, tuple[str, str | None]], now: dict[str, tuple[str, str | None]]
) -> None:
    changes = list(
        diff((known(key, *before[key]) for key in sorted(before)), (listed(key, *now[key]) for key in sorted(now)))
    )
    assert [change.key for change in changes] == sorted(before.keys() | now.keys())
    after = dict(before)
    for change in changes:
        assert (change.known is None) == (change.key not in before)
        assert (change.listed is None) == (change.key not in now)
        if change.listed is None:
            del after[change.key]
        elif change.kind is not ChangeKind.UNCHANGED:
            after[change.key] = (change.listed.version, change.listed.sidecar_version)
    assert after == now


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param([known("b"), known("a")], [], id="known out of order"),
        pytest.param([], [listed("b"), listed("a")], id="listed out of order"),
        pytest.param([], [listed("a"), listed("a")], id="listed twice"),
    ],
)
def test_unordered_sides_are_refused(before: list[KnownObject], now: list[SourceObject]) -> None:
    with pytest.raises(OutOfOrder, match="must rise"):
        list(diff(before, now))


def test_memory_does_not_grow_with_the_number_of_objects() -> None:
    count = 50_000

    def ours() -> Iterator[KnownObject]:
        return (known(f"{number:08}") for number in range(count))

    def theirs() -> Iterator[SourceObject]:
        return (listed(f"{number:08}") for number in range(1, count + 1))

    tracemalloc.start()
    try:
        kinds = {ChangeKind.ADDED: 0, ChangeKind.REMOVED: 0, ChangeKind.UNCHANGED: 0}
        for change in diff(ours(), theirs()):
            kinds[change.kind] += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kinds == {ChangeKind.ADDED: 1, ChangeKind.REMOVED: 1, ChangeKind.UNCHANGED: count - 1}
    assert peak < 100_000
