"""The kubelet learns what no longer goes on, Prometheus what was done; neither learns a name of an object."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ragindex_core.errors import Unavailable
from ragindex_core.object.reasons import ConditionType, Reason
from ragindex_core.object.status import Condition, RagIndexStatus
from ragindex_operator.cluster.health import Answers
from ragindex_operator.cluster.metrics import Metrics
from ragindex_operator.cluster.vital_signs import VitalSigns
from ragindex_operator.cluster.work_queue import Look, WorkQueue


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def vital_signs() -> VitalSigns:
    return VitalSigns()


@pytest.fixture
def answers(vital_signs: VitalSigns, metrics: Metrics) -> Answers:
    return Answers(vital_signs, metrics)


def samples(answers: Answers) -> dict[str, float]:
    """By name and labels, as they are written."""
    _, _, body = answers.to("/metrics")
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_liveness_says_what_no_longer_goes_on(answers: Answers, vital_signs: VitalSigns) -> None:
    assert answers.to("/healthz")[0] == HTTPStatus.OK
    vital_signs.fail("ragindexes", "a watcher has ended")
    status, _, body = answers.to("/healthz")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert body == b"ragindexes: a watcher has ended\n"


def test_both_who_leads_and_who_stands_by_are_ready(answers: Answers, metrics: Metrics) -> None:
    assert answers.to("/readyz")[::2] == (HTTPStatus.OK, b"standby\n")
    metrics.leading(True)
    assert answers.to("/readyz")[::2] == (HTTPStatus.OK, b"leading\n")
    assert samples(answers)["ragindex_operator_leading"] == 1


def test_there_is_nothing_else(answers: Answers) -> None:
    assert answers.to("/")[0] == HTTPStatus.NOT_FOUND


def test_looks_and_requests_are_counted(answers: Answers, metrics: Metrics) -> None:
    metrics.looked(Look("team/handbook", 0.3, None))
    metrics.looked(Look("team/handbook", 0.1, Unavailable("away")))
    for verb in ("get", "apply", "update"):
        metrics.requested(verb)
    found = samples(answers)
    assert found["ragindex_operator_reconcile_seconds_count"] == 2
    assert found["ragindex_operator_reconcile_seconds_sum"] == pytest.approx(0.4)
    assert found["ragindex_operator_reconcile_errors_total{reason=Unavailable}"] == 1
    assert found["ragindex_operator_api_requests_total{verb=get}"] == 1
    assert found["ragindex_operator_api_writes_total"] == 2


def condition(type_: ConditionType, *, holds: bool, reason: Reason) -> Condition:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Condition(type=type_, status="True" if holds else "False", reason=reason, last_transition_time=at)


def test_objects_are_counted_by_what_they_say_until_they_are_gone(answers: Answers, metrics: Metrics) -> None:
    ready = RagIndexStatus(conditions=(condition(ConditionType.READY, holds=True, reason=Reason.SERVING),))
    unready = RagIndexStatus(conditions=(condition(ConditionType.READY, holds=False, reason=Reason.SERVING),))
    metrics.told("team/one", ready)
    metrics.told("team/two", ready)
    metrics.told("team/two", unready)
    metrics.told("team/three", unready)
    metrics.told("team/three", None)
    found = samples(answers)
    assert found["ragindex_operator_objects{status=True,type=Ready}"] == 1
    assert found["ragindex_operator_objects{status=False,type=Ready}"] == 1
    assert b"team/" not in answers.to("/metrics")[2]


def test_the_queue_is_read_when_it_is_asked_for(answers: Answers, metrics: Metrics) -> None:
    assert samples(answers)["ragindex_operator_queue_depth"] == 0
    now = 10.0
    queue = WorkQueue(lambda _key: None, clock=lambda: now)
    metrics.follow(queue)
    queue.add("team/one")
    now = 14.0
    found = samples(answers)
    assert found["ragindex_operator_queue_depth"] == 1
    assert found["ragindex_operator_queue_oldest_seconds"] == 4


def test_the_lag_of_the_loop_is_told(answers: Answers, vital_signs: VitalSigns) -> None:
    vital_signs.lag("event loop", 0.25)
    assert samples(answers)["ragindex_operator_loop_lag_seconds{loop=event loop}"] == 0.25
