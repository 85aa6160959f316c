"""Whatever happens on the way, an index ends where a fresh one with the last spec ends, and readers never suffer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragindex_core.object.reasons import ConditionType, RequestName
from ragindex_core.object.resource import RagIndex
from ragindex_core.object.revision import revision_key
from ragindex_core.reconcile import actions as a
from ragindex_core.reconcile.observed import RevisionState, VectorIndexState
from ragindex_core.reconcile.plan import plan
from ragindex_core.reconcile.status import status_of
from ragindex_core.testing.world import World

Make = Callable[..., RagIndex]

# The fixture only builds values; sharing it between examples is harmless.
HISTORIES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Edit:
    spec: dict[str, Any]


@dataclass(frozen=True)
class Outside:
    """The source changes, and somebody asks for a run."""

    listing: dict[str, int]


@dataclass(frozen=True)
class Ask:
    name: RequestName
    value: str


@dataclass(frozen=True)
class Rounds:
    """Looks and work; of each plan only the first ``until`` actions are carried out before the reconciler dies."""

    count: int
    until: int


def spec_parts(*, final: bool) -> st.SearchStrategy[dict[str, Any]]:
    """``final``: what lets the end be compared: nobody is waited for."""
    sources = st.lists(st.sampled_from(["docs", "more", "notes"]), min_size=1, max_size=3, unique=True)
    rollout = st.fixed_dictionaries(
        {
            "promotion": st.just("Automatic") if final else st.sampled_from(["Automatic", "Automatic", "Manual"]),
            "minDocumentsPercent": st.sampled_from([50, 95, 100]),
            "retainRevisions": st.integers(0, 2),
            "maxEstimatedTokens": st.just(10**9) if final else st.sampled_from([100, 10**9, 10**9]),
        }
    )
    return st.fixed_dictionaries(
        {
            "chunking": st.sampled_from([{}, {"maxTokens": 200}, {"maxTokens": 100}, {"strategy": "Fixed"}]),
            "suspend": st.just(False) if final else st.sampled_from([False, False, False, True]),
            "index": st.sampled_from([{}, {"hnsw": {"m": 8}}, {"type": "None"}]),
            "sources": sources.map(lambda names: [{"name": name, "directory": {"path": name}} for name in names]),
            "ingestion": st.fixed_dictionaries({"parallelism": st.integers(1, 4), "maxDeletePercent": st.just(100)}),
            "rollout": rollout,
        }
    )


listings = st.dictionaries(st.sampled_from([f"{n}.md" for n in range(9)]), st.integers(1, 3), min_size=1, max_size=9)
events = st.one_of(
    spec_parts(final=False).map(Edit),
    listings.map(Outside),
    st.builds(
        Ask,
        st.sampled_from([RequestName.PROMOTE, RequestName.ROLLBACK, RequestName.APPROVE]),
        st.integers(1, 5).map(lambda number: f"r{number}"),
    ),
    st.builds(Ask, st.sampled_from([RequestName.RETRY_FAILED, RequestName.REBUILD]), st.uuids().map(str)),
    st.builds(Rounds, st.integers(1, 6), st.integers(1, 9)),
    st.builds(Rounds, st.integers(1, 6), st.just(99)),
)


def check_readers(world: World) -> None:
    assert len([r for r in world.revisions if r.state is RevisionState.ACTIVE]) <= 1
    serving = world.serving()
    if serving is None:
        return
    assert serving.state in (RevisionState.ACTIVE, RevisionState.BUILDING)
    assert {key for key, _ in serving.held.values()} <= {serving.key}
    assert set(serving.held) <= set(world.catalogue)  # what was deleted is found in no revision


def check_promotion(world: World, index: RagIndex, action: a.Promote, asked: bool) -> None:
    revision = next(r for r in world.observe().revisions if r.number == action.revision)
    assert revision.state is RevisionState.BUILDING
    assert revision.key == revision_key(index.spec)
    assert revision.tables_ready
    settled = revision.missing == 0 and revision.documents.unfinished == 0
    if any(r.state is RevisionState.ACTIVE for r in world.revisions):
        assert revision.coverage.reaches(index.spec.rollout.min_documents_percent) or (asked and settled)
        big = revision.chunks >= world.limits.index_from_chunks and index.spec.index.graph is not None
        assert not big or revision.vector_index.state is VectorIndexState.VALID
    else:
        assert settled


def look(world: World, index: RagIndex, until: int) -> None:
    """One plan, checked, carried out twice over (as after a crash that lost the answer) up to ``until``."""
    actions = plan(index, world.observe(), world.now, world.limits)
    before = copy.deepcopy(world)
    for action in actions[:until]:
        if isinstance(action, a.Promote):
            asked = any(request.name is RequestName.PROMOTE for request in before.requests)
            check_promotion(world, index, action, asked)
        world.apply(action, index)
        once = copy.deepcopy(world)
        world.apply(action, index)
        assert world == once, f"{action} does something else when carried out twice"
        check_readers(world)


def replay(world: World, an_index: Make, history: list[Edit | Outside | Ask | Rounds]) -> int:
    """Returns the generation that the object came to."""
    generation = 1
    index = an_index()
    for number, event in enumerate(history):
        match event:
            case Edit(spec):
                generation += 1
                index = an_index(generation=generation, **spec)
            case Outside(listing):
                world.sources["docs"] = listing
                world.ask(RequestName.SYNC, f"event {number}")
            case Ask(name, value):
                world.ask(name, f"{value}@{number}")
            case Rounds(count, until):
                for _ in range(count):
                    look(world, index, until)
                    world.work()
                    check_readers(world)
    return generation


def fingerprint(world: World, index: RagIndex) -> dict[str, Any]:
    serving = world.serving()
    assert serving is not None
    status = status_of(index, world.observe(), None, world.now, world.limits)
    return {
        "key": serving.key,
        "documents": {document: version for document, (_, version) in serving.held.items()},
        "failed": serving.failed,
        "catalogue": world.catalogue,
        # One that was built when there were more passages may stay.
        "index": serving.vector_index if serving.chunks >= world.limits.index_from_chunks else None,
        "states": [r.state for r in world.revisions if r.state is not RevisionState.RETAINED],
        "conditions": {c.type: (c.status, c.reason) for c in status.conditions},
        "spec": world.recorded,
        "workers": world.crew.workers,
    }


def new_world() -> World:
    return World(
        sources={
            "docs": {f"{n}.md": 1 for n in range(6)},
            "more": {"x.md": 1, "y.md": 2},
            "notes": {"bad.pdf": 1, "z.md": 1},
        }
    )


@HISTORIES
@given(history=st.lists(events, max_size=14), last=spec_parts(final=True))
def test_any_history_ends_where_a_fresh_index_ends(an_index: Make, history: list[Any], last: dict[str, Any]) -> None:
    world = new_world()
    generation = replay(world, an_index, history)
    # A rollback holds the key it was given under; an edit of the key in between ends that, as it would for a person.
    between = an_index(generation=generation + 1, **{**last, "chunking": {"maxTokens": 64}})
    world.settle(between)
    final = an_index(generation=generation + 2, **last)
    world.requests.clear()
    world.settle_past_caches(final)
    fresh = World(sources=copy.deepcopy(world.sources))
    fresh.settle_past_caches(final)
    assert fingerprint(world, final) == fingerprint(fresh, final)
    assert fingerprint(world, final)["conditions"][ConditionType.PROGRESSING][1] == "UpToDate"
    retained = [r for r in world.revisions if r.state is RevisionState.RETAINED]
    assert len(retained) <= final.spec.rollout.retain_revisions


@HISTORIES
@given(history=st.lists(events, max_size=14), last=spec_parts(final=False))
def test_any_history_comes_to_rest(an_index: Make, history: list[Any], last: dict[str, Any]) -> None:
    world = new_world()
    generation = replay(world, an_index, history)
    index = an_index(generation=generation + 1, **last)
    world.settle_past_caches(index)
    assert plan(index, world.observe(), world.now, world.limits) == ()
    first = status_of(index, world.observe(), None, world.now, world.limits)
    assert status_of(index, world.observe(), first, world.now, world.limits) == first
    progressing = first.condition(ConditionType.PROGRESSING)
    assert progressing is not None
    assert progressing.status == "False", progressing
