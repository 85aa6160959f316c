"""Pods are shared out fairly, up to the bound and no further, and everybody's turn comes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ragindex_core.reconcile.share import Ask, Holding, grant

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def ask(path: str, pods: int = 1, minute: int = 0) -> Ask:
    return Ask(path, path.split("/", maxsplit=1)[0], pods, MONDAY + timedelta(minutes=minute))


def holding(path: str, pods: int = 1) -> Holding:
    return Holding(path, path.split("/", maxsplit=1)[0], pods)


def given_out(granted: Any) -> dict[str, int]:
    return {uid: pods for uid, pods in granted.items() if pods}


def test_without_a_bound_everybody_has_what_they_ask() -> None:
    assert grant([ask("hr/a", 4), ask("hr/b", 64)], [holding("hr/c", 900)], None) == {"hr/a": 4, "hr/b": 64}


def test_who_gets_nothing_is_told_so() -> None:
    assert grant([ask("hr/a", 4)], [holding("it/b", 3)], 3) == {"hr/a": 0}


def test_the_first_pod_of_all_goes_before_the_second_of_any() -> None:
    asks = [ask("hr/a", 4), ask("hr/b", 4), ask("hr/c", 4), ask("it/d", 4)]
    assert grant(asks, [], 5) == {"hr/a": 1, "hr/b": 1, "hr/c": 1, "it/d": 2}


def test_an_object_that_has_a_pod_waits_for_those_that_have_none() -> None:
    asks = [ask("hr/a", 3), ask("it/b", 1, minute=9)]
    assert given_out(grant(asks, [holding("hr/a")], 2)) == {"it/b": 1}


def test_a_namespace_with_fewer_pods_goes_first_however_late_it_came() -> None:
    asks = [ask("hr/b"), ask("it/c", minute=9)]
    assert given_out(grant(asks, [holding("hr/a", 2), holding("it/a", 1)], 4)) == {"it/c": 1}


def test_a_crowded_namespace_leaves_room_for_another() -> None:
    crowd = [ask(f"hr/{number}") for number in range(10)]
    assert given_out(grant([*crowd, ask("it/a", minute=9)], [], 2)) == {"hr/0": 1, "it/a": 1}


def test_within_a_namespace_the_object_with_fewer_pods_goes_first() -> None:
    asks = [ask("hr/a", 2), ask("hr/b", 2, minute=9)]
    assert given_out(grant(asks, [holding("hr/a", 2), holding("hr/b", 1)], 4)) == {"hr/b": 1}


def test_among_equals_whoever_waits_longest_goes_first() -> None:
    assert given_out(grant([ask("hr/a", minute=2), ask("hr/b", minute=1)], [], 1)) == {"hr/b": 1}
    assert given_out(grant([ask("hr/a", minute=2), ask("it/b", minute=1)], [], 1)) == {"it/b": 1}


def test_pods_above_a_bound_that_was_lowered_are_left_alone() -> None:
    assert grant([ask("hr/a")], [holding("it/b", 9)], 4) == {"hr/a": 0}


paths = st.builds("{}/{}".format, st.sampled_from(["hr", "it", "law"]), st.integers(0, 6))
asking = st.lists(
    st.builds(ask, paths, st.integers(0, 5), st.integers(0, 3)), max_size=12, unique_by=lambda one: one.uid
)
holdings = st.lists(st.builds(holding, paths, st.integers(0, 4)), max_size=12)
bounds = st.integers(0, 30)
any_case = settings(deadline=None)  # a busy machine is no fault of the code


@any_case
@given(asking, holdings, bounds)
def test_all_room_is_used_and_no_more_and_nobody_gets_more_than_they_asked(
    asks: list[Ask], active: list[Holding], most: int
) -> None:
    granted = grant(asks, active, most)
    assert all(0 <= granted[one.uid] <= one.pods for one in asks)
    room = max(0, most - sum(one.pods for one in active))
    assert sum(granted.values()) == min(room, sum(one.pods for one in asks))


@any_case
@given(asking, holdings, bounds)
def test_nobody_gets_a_second_pod_while_another_has_none(asks: list[Ask], active: list[Holding], most: int) -> None:
    granted = grant(asks, active, most)
    held = Counter[str]()
    for one in active:
        held[one.uid] += one.pods
    if any(one.pods and not held[one.uid] and not granted[one.uid] for one in asks):
        assert all(held[uid] + pods <= 1 for uid, pods in granted.items() if pods)


@any_case
@given(asking, bounds, st.booleans())
def test_no_namespace_gets_ahead_of_one_that_still_asks(asks: list[Ask], most: int, all_have_one: bool) -> None:
    """Among asks for first pods alone, and among asks for further pods alone: max-min fairness."""
    active = [Holding(one.uid, one.namespace, 1) for one in asks] if all_have_one else []
    asks = asks if all_have_one else [Ask(one.uid, one.namespace, min(one.pods, 1), one.since) for one in asks]
    granted = grant(asks, active, most)
    pods, unmet = Counter[str](one.namespace for one in active), set()
    for one in asks:
        pods[one.namespace] += granted[one.uid]
        if granted[one.uid] < one.pods:
            unmet.add(one.namespace)
    favoured = {one.namespace for one in asks if granted[one.uid]}
    assert all(pods[ahead] - 1 <= pods[behind] for ahead in favoured for behind in unmet)


@any_case
@given(asking, holdings, bounds, st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_given_does_not_matter(
    asks: list[Ask], active: list[Holding], most: int, random: Any
) -> None:
    shuffled, moved = list(asks), list(active)
    random.shuffle(shuffled)
    random.shuffle(moved)
    assert grant(shuffled, moved, most) == grant(asks, active, most)


@any_case
@given(asking, st.integers(1, 4), st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_while_jobs_end_everybodys_turn_comes(asks: list[Ask], most: int, lengths: list[int]) -> None:
    """Each pod works for some rounds, and for as many rounds as there are objects another one comes."""
    newcomers = [ask(f"{one.namespace}/late-{one.uid}", one.pods, minute=60) for one in asks]
    waiting = {one.uid: one for one in asks}
    running: list[tuple[int, Holding]] = []
    length = cycle(lengths)
    for now in range(len(newcomers) + 5 * sum(one.pods for one in (*asks, *newcomers)) + 1):
        if newcomers:
            late = newcomers.pop()
            waiting[late.uid] = late
        running = [(end, one) for end, one in running if end > now]
        for uid, pods in grant(list(waiting.values()), [one for _, one in running], most).items():
            one = waiting.pop(uid)
            running += [(now + next(length), Holding(uid, one.namespace, 1)) for _ in range(pods)]
            if pods < one.pods:
                waiting[uid] = Ask(uid, one.namespace, one.pods - pods, one.since)
    assert not waiting
