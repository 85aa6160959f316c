"""An object's life: applied, filled, edited, rolled back, deleted."""

from __future__ import annotations

from tests.kube.harness.api import Api
from tests.kube.operator.installation import Installation, path_of, rag_index, reason, up_to_date

NOTES = {
    "leave.md": "# Annual leave\n\nEveryone has thirty days of annual leave a year.",
    "travel.md": "# Travel\n\nTrains are booked by the travel desk, in second class.",
}


def test_an_applied_object_fills_itself_and_answers(api: Api, installation: Installation) -> None:
    installation.operator()
    service = installation.service()
    installation.write_notes("handbook", NOTES)
    where = path_of(installation.namespace)
    api.create(where, rag_index("handbook", installation.namespace))
    ready = api.until(f"{where}/handbook", up_to_date, 90)
    assert ready is not None
    assert reason(ready, "Ready") == "True/Serving"
    assert ready["status"]["documents"] == {"total": 2, "indexed": 2, "pending": 0, "failed": 0}
    found = service.get(f"/v1/indexes/{installation.namespace}/handbook")
    assert found.json()["status"]["activeRevision"]["id"] == "r1"
