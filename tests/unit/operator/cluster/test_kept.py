"""A writer sees its own write at once, whatever the watch tells late."""

from __future__ import annotations

from typing import Any

from ragindex_operator.cluster.kept import Kept

LABEL = "ragindex.io/uid"


def body(uid: str, version: int, of: str = "owner", **metadata: Any) -> dict[str, Any]:
    about = {"uid": uid, "name": f"job-{uid}", "resourceVersion": str(version), "labels": {LABEL: of}}
    return {"kind": "Job", "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", **about, **metadata}}


def versions(kept: Kept, of: str = "owner") -> dict[str, str]:
    return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in kept.of(of)}


def test_a_write_is_seen_at_once_and_no_late_event_undoes_it() -> None:
    kept = Kept(LABEL)
    kept.wrote(body("a", 10))
    assert versions(kept) == {"a": "10"}
    assert not kept.heard("ADDED", body("a", 8))
    assert not kept.heard("ADDED", body("a", 10)), "its own event brings nothing new"
    assert versions(kept) == {"a": "10"}
    assert kept.heard("MODIFIED", body("a", 100)), "as numbers, not as text"
    kept.wrote(body("a", 99))
    assert versions(kept) == {"a": "100"}


def test_a_delete_is_seen_at_once_and_no_late_event_brings_it_back() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("a", 10))
    kept.deleted(body("a", 10))
    assert not kept.heard("MODIFIED", body("a", 11))
    assert versions(kept) == {}
    assert kept.heard("DELETED", body("a", 12)), "whoever waits for the end is told"
    assert not kept.heard("DELETED", body("a", 12))


def test_what_a_finalizer_still_holds_is_there() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("a", 10))
    kept.deleted(body("a", 10))
    assert kept.heard("MODIFIED", body("a", 11, deletionTimestamp="2026-01-01T00:00:01Z"))
    assert versions(kept) == {"a": "11"}
    assert kept.heard("DELETED", body("a", 12))
    assert versions(kept) == {}


def test_the_answer_to_a_write_may_come_after_the_news_that_its_object_is_gone() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("a", 10))
    kept.heard("DELETED", body("a", 11))
    kept.wrote(body("a", 10))
    assert versions(kept) == {}


def test_an_object_made_anew_under_its_old_name_is_another_one() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("old", 10, name="job"))
    kept.wrote(body("new", 12, name="job"))
    kept.heard("DELETED", body("old", 11, name="job"))
    assert versions(kept) == {"new": "12"}


def test_a_list_is_everything_but_what_was_written_since_it_was_asked_for() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("gone", 5))
    kept.heard("ADDED", body("same", 6))
    kept.wrote(body("shown by no list", 7))
    asked = kept.begin_list()
    kept.wrote(body("made meanwhile", 20))
    kept.deleted(body("deleted meanwhile", 8))
    changed = kept.listed([body("same", 6), body("deleted meanwhile", 8), body("news", 9)], asked)
    assert versions(kept) == {"same": "6", "made meanwhile": "20", "news": "9"}
    assert {each["metadata"]["uid"] for each in changed} == {"gone", "shown by no list", "news"}


def test_a_later_list_is_right_about_what_was_written_before_it() -> None:
    kept = Kept(LABEL)
    kept.wrote(body("made", 10))
    kept.deleted(body("lingers", 4))
    kept.listed([body("lingers", 4)], kept.begin_list())
    assert versions(kept) == {"lingers": "4"}


def test_objects_are_found_by_their_label_oldest_first() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("b", 1, creationTimestamp="2026-01-02T00:00:00Z"))
    kept.heard("ADDED", body("a", 2, creationTimestamp="2026-01-01T00:00:00Z"))
    kept.heard("ADDED", body("c", 3, of="another"))
    assert list(versions(kept)) == ["a", "b"]
    assert len(kept.every()) == 3
    kept.heard("MODIFIED", body("a", 4, of="another"))
    assert list(versions(kept)) == ["b"]
    assert set(versions(kept, "another")) == {"a", "c"}


def test_who_set_which_field_is_not_kept() -> None:
    kept = Kept(LABEL)
    kept.heard("ADDED", body("a", 1, managedFields=[{"manager": "kubectl"}]))
    assert "managedFields" not in kept.of("owner")[0]["metadata"]
