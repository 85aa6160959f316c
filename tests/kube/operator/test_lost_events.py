"""Watches that lose events, are cut, or fall silent: what they did not tell is found out all the same, and in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from tests.kube.harness.api import Api
from tests.kube.harness.api_proxy import ApiProxy
from tests.kube.operator.edits import NOTES, Edited, in_seconds
from tests.kube.operator.installation import Installation, path_of, rag_index, up_to_date, wait_for

from ragindex_operator.cluster import leading
from ragindex_operator.cluster.main import Operator
from ragindex_operator.cluster.settings import OperatorEnvironment, WorkerPods

RIGHT_SECONDS = 180
DETECTED_SECONDS = 90
DROPPED_PERCENT = 30


@contextmanager
def operator_within(installation: Installation, proxy: ApiProxy) -> Iterator[None]:
    """One of this process, so that a test may shorten its times."""
    environment = OperatorEnvironment(
        database_url=SecretStr(installation.database_url),
        installation=installation.name,
        kubeconfig=proxy.kubeconfig,
        release_namespace=installation.namespace,
        namespaces=(installation.namespace,),
        worker=WorkerPods(image="ragindex"),
        host="127.0.0.1",
        port=0,
    )
    operator = Operator(environment)
    thread = threading.Thread(target=operator.run)
    thread.start()
    try:
        yield
    finally:
        operator.stop()
        thread.join()


def test_edits_whose_events_are_lost_are_found_by_the_next_list(
    api_proxy: ApiProxy, api: Api, bare_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "_LIST_SECONDS", 4.0)  # instead of a minute
    with operator_within(bare_installation, api_proxy):
        edited = Edited(api, bare_installation, 4)
        edited.until_in_force(60)
        took = []
        for percent, cut in ((DROPPED_PERCENT, False), (DROPPED_PERCENT, True), (100, False)):
            api_proxy.drop_watch_events(percent)
            for name in edited.names:
                edited.edit(name)
            if cut:
                api_proxy.cut()
            took.append(edited.until_in_force(RIGHT_SECONDS))
    print(f"\n{api_proxy.watch_events_dropped} events lost: right after {in_seconds(took)}")  # noqa: T201
    assert api_proxy.watch_events_dropped >= 4


@pytest.mark.long
def test_with_every_third_event_lost_and_watches_cut_edits_are_in_force_within_three_minutes(
    api_proxy: ApiProxy, api: Api, bare_installation: Installation
) -> None:
    api_proxy.drop_watch_events(DROPPED_PERCENT)
    operator = bare_installation.operator(kubeconfig=api_proxy.kubeconfig)
    edited = Edited(api, bare_installation, 10)
    edited.until_in_force(RIGHT_SECONDS)
    took = []
    for _ in range(5):
        for number, name in enumerate(edited.names):
            edited.edit(name)
            if number % 4 == 0:
                api_proxy.cut()
        took.append(edited.until_in_force(RIGHT_SECONDS))
    print(f"\n{api_proxy.watch_events_dropped} events lost: right after {in_seconds(took)}")  # noqa: T201
    assert operator.popen.poll() is None


@pytest.mark.long
def test_with_every_third_event_lost_objects_fill_and_are_built_anew_within_three_minutes(
    api_proxy: ApiProxy, api: Api, installation: Installation
) -> None:
    """Also those of Jobs that ended: one believed to be at work would keep its successor from being made."""
    api_proxy.drop_watch_events(DROPPED_PERCENT)
    installation.operator(kubeconfig=api_proxy.kubeconfig)
    paths = [path_of(installation.namespace, f"index-{number}") for number in range(4)]
    applied = time.monotonic()
    for path in paths:
        name = path.rpartition("/")[2]
        installation.write_notes(name, NOTES)
        api.create(path_of(installation.namespace), rag_index(name, installation.namespace))
    for path in paths:
        api.until(path, up_to_date, RIGHT_SECONDS - (time.monotonic() - applied))
    filled = time.monotonic() - applied
    for path in paths:
        api.patch(path, {"spec": {"chunking": {"maxTokens": 64, "overlapTokens": 8}}})
    edited = time.monotonic()
    for path in paths:
        left = RIGHT_SECONDS - (time.monotonic() - edited)
        api.until(path, lambda item: up_to_date(item) and item["status"]["activeRevision"]["id"] == "r2", left)
    built = time.monotonic() - edited
    print(f"\n{api_proxy.watch_events_dropped} lost: filled {filled:.1f} s, anew {built:.1f} s")  # noqa: T201


@pytest.mark.long
def test_silent_watches_are_told_of_within_ninety_seconds_and_until_they_speak(
    api_proxy: ApiProxy, api: Api, bare_installation: Installation
) -> None:
    operator = bare_installation.operator(kubeconfig=api_proxy.kubeconfig)
    edited = Edited(api, bare_installation, 4)
    edited.until_in_force(60)
    assert operator.get("/healthz").is_success
    api_proxy.silence_watches()
    silent = time.monotonic()
    for name in edited.names:
        edited.edit(name)
    found = edited.until_in_force(RIGHT_SECONDS)
    left = DETECTED_SECONDS - (time.monotonic() - silent)
    wait_for(lambda: not operator.get("/healthz").is_success, "a sign of illness", left, operator)
    detected, why = time.monotonic() - silent, operator.get("/healthz").text.replace("\n", "; ")
    api_proxy.let_watches_speak()
    well = wait_for(lambda: operator.get("/healthz").is_success, "its end", DETECTED_SECONDS, operator)
    print(f"\nedits {found:.0f} s, detected {detected:.0f} s ({why}), well {well:.0f} s later")  # noqa: T201
