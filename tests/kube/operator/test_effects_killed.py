"""An operator that dies before or after any effect of its own: the next one comes to the same end, and leaves nothing
that no object stands behind."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.kube.operator.installation import rag_index
from tests.kube.operator.mortals import Mortal
from tests.kube.operator.scene import Scene, Theatre, differences

LONG = os.environ.get("RAGINDEX_KUBE") == "long"
AT_ONCE = 4
#: What a restarted operator is given to come to the same end; the first life has no such promise to keep.
CONVERGES_SECONDS = 60
CLEAN_SECONDS = 120
QUIET_SECONDS = 3

NOTES = {f"{n}.md": f"# Tower {n}\n\n" + " ".join(f"Its keeper is keeper{n}-{m}." for m in range(60)) for n in range(3)}
EDITED = {**NOTES, "2.md": "# Tower 2\n\nIt fell.", "3.md": "# Tower 3\n\nIt has no keeper yet."}
SPEC: dict[str, Any] = {
    "chunking": {"maxTokens": 200, "overlapTokens": 20},
    "ingestion": {"schedule": "0 3 1 1 *", "timeZone": "Etc/UTC"},
    "rollout": {"retainRevisions": 0},
    "deletionPolicy": "Delete",
}


# The stages of an object's life


def _create(scene: Scene) -> None:
    scene.installation.write_notes("towers", NOTES)
    scene.create(rag_index("towers", scene.namespace, **SPEC))


def _edit(scene: Scene) -> None:
    scene.installation.write_notes("towers", EDITED)
    scene.api.patch(f"{scene.where}/towers", {"spec": {"chunking": {"maxTokens": 100}}})


def _delete(scene: Scene) -> None:
    scene.api.delete(f"{scene.where}/towers")


STAGES: dict[str, Callable[[Scene], None]] = {"create": _create, "edit": _edit, "delete": _delete}

#: Those of the short form, by the life that dies there: after each of them something is half done.
SHORT = (
    {"create": "create listing job, after", "edit": "DropRevision, before", "delete": "DropIndex, after"},
    {"create": "Promote, after", "edit": "CreateTables, after", "delete": "delete cronjobs, after"},
)


@dataclass
class Clean:
    """What the life without a death came to in each stage, and by which points."""

    ends: dict[str, Future[dict[str, Any]]] = field(default_factory=lambda: {name: Future() for name in STAGES})
    points: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Outcome:
    """Of one life with a death in each stage."""

    killed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    wrong: dict[str, Any] = field(default_factory=dict)


def live_cleanly(theatre: Theatre, clean: Clean) -> None:
    scene = Scene(theatre)
    try:
        for name, begin in STAGES.items():
            begin(scene)
            operator = scene.operator()
            clean.ends[name].set_result(_quiet(scene, operator, name))
            operator.kill()
            clean.points[name] = operator.points
    except BaseException as error:
        for end in clean.ends.values():
            if not end.done():
                end.set_exception(error)
        raise
    finally:
        scene.close()


def _quiet(scene: Scene, operator: Mortal, stage: str) -> dict[str, Any]:
    """What is there when nothing is left to do, and nothing changes any more."""
    end = time.monotonic() + CLEAN_SECONDS
    seen, since = None, time.monotonic()
    while seen is None or time.monotonic() - since < QUIET_SECONDS:
        assert time.monotonic() < end, f"{stage} does not come to an end: {json.dumps(seen)}\n{operator.said()}"
        assert operator.alive, f"{stage}: the operator ended\n{operator.said()}"
        now = scene.everything() if scene.settled() else None
        if now is None or now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.3)
    return seen


def live_and_die(theatre: Theatre, clean: Clean, deaths: dict[str, str]) -> Outcome:
    """Dies once in each stage that ``deaths`` names, and lives on."""
    outcome = Outcome()
    scene = Scene(theatre)
    try:
        for stage, begin in STAGES.items():
            begin(scene)
            point = deaths.get(stage)
            expected = clean.ends[stage].result()
            operator = scene.operator(point)
            if point is not None:
                died = _died(operator, partial(_arrived, expected, scene))
                (outcome.killed if died else outcome.missed).append(f"{stage}: {point}")
                operator = scene.operator()
            began = time.monotonic()
            while not _arrived(expected, scene) and time.monotonic() - began < CONVERGES_SECONDS:
                time.sleep(0.3)
            outcome.took.append(time.monotonic() - began)
            if different := differences(expected, scene.everything()):
                outcome.wrong[f"{stage}: {point}"] = {**different, "said": operator.said()}
                break
            operator.kill()
    finally:
        scene.close()
    return outcome


def _died(operator: Mortal, arrived: Callable[[], bool]) -> bool:
    """False for one that came to the end without coming to its point: what happens how often is not always the same."""
    end = time.monotonic() + CLEAN_SECONDS
    while not operator.await_end(0.5):
        if arrived():
            operator.kill()
            return False
        assert time.monotonic() < end, f"{operator.life.end_at} is not reached, and no end\n{operator.said()}"
    assert operator.points[-1] == operator.life.end_at, operator.said()
    return True


def _arrived(expected: dict[str, Any], scene: Scene) -> bool:
    return scene.settled() and not differences(expected, scene.everything())


def _lives_of(points: dict[str, list[str]]) -> Sequence[dict[str, str]]:
    """Each point of each stage is the death of one life."""
    longest = max(map(len, points.values()))
    return [{stage: each[n] for stage, each in points.items() if n < len(each)} for n in range(longest)]


def test_killed_at_any_effect_the_next_comes_to_the_same_end(theatre: Theatre) -> None:
    clean = Clean()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        model = pool.submit(live_cleanly, theatre, clean)
        if LONG:
            model.result()
        lives = _lives_of(clean.points) if LONG else SHORT
        outcomes = list(pool.map(lambda deaths: live_and_die(theatre, clean, deaths), lives))
        model.result()
    killed = [point for outcome in outcomes for point in outcome.killed]
    missed = [point for outcome in outcomes for point in outcome.missed]
    took = [seconds for outcome in outcomes for seconds in outcome.took]
    count = sum(map(len, clean.points.values()))
    print(f"killed at {len(killed)} of {count} points, the same end after {max(took):.1f} s at most; missed: {missed}")  # noqa: T201
    wrong = {point: why for outcome in outcomes for point, why in outcome.wrong.items()}
    assert not wrong, json.dumps(wrong, indent=1)
    assert len(killed) >= (25 if LONG else 6)
