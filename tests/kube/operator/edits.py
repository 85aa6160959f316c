"""Edits of objects that show at the API server when the operator has seen them, though no pod runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.kube.harness.api import Api, Object
from tests.kube.operator.installation import Installation, path_of, rag_index, reason

NOTES = {"leave.md": "# Leave\n\nEverybody has 28 days of leave."}


@dataclass(frozen=True)
class Edit:
    """``wanted`` is the object as the edit left it."""

    wanted: Object
    shows: Callable[[Object], object]

    def in_force(self, item: Object) -> bool:
        generation = item["metadata"]["generation"]
        seen = (item.get("status") or {}).get("observedGeneration") == generation
        return bool(seen and generation >= self.wanted["metadata"]["generation"] and self.shows(item))


class Edited:
    """Objects ``index-0`` … of one installation, each edited in one way again and again: suspended and resumed, another
    ``topK``, another revision, another schedule of its CronJob."""

    def __init__(self, api: Api, installation: Installation, number: int) -> None:
        self._api = api
        self._namespace = installation.namespace
        self.names = [f"index-{n}" for n in range(number)]
        self._times = dict.fromkeys(self.names, 0)
        self._edits: dict[str, Edit] = {}
        for name in self.names:
            installation.write_notes(name, NOTES)
            spec: Object = {"ingestion": {"schedule": "0 0 1 1 *", "timeZone": "Etc/UTC"}}
            if not self.reads_config_map(name):
                spec["sources"] = [{"name": "uploads", "uploads": {}}]
            made = api.create(path_of(self._namespace), rag_index(name, self._namespace, **spec))
            self._edits[name] = Edit(made, lambda item: reason(item, "SchemaReady") == "True/TablesReady")

    def reads_config_map(self, name: str) -> bool:
        """Such an object is looked at now and then though nobody told of it; the others are not."""
        return self.names.index(name) % 4 == 1

    def edit(self, name: str) -> None:
        times = self._times[name] = self._times[name] + 1
        match self.names.index(name) % 4:
            case 0:
                suspended = times % 2 == 1
                spec: Object = {"suspend": suspended}

                def shows(item: Object) -> object:
                    return reason(item, "Suspended").startswith(str(suspended))
            case 1:
                spec = {"retrieval": {"topK": 8 + times}}

                def shows(item: Object) -> object:
                    return item["spec"]["retrieval"]["topK"] == 8 + times
            case 2:
                spec = {"chunking": {"maxTokens": 300 + times}}

                def shows(item: Object) -> object:
                    return item["status"]["pendingRevision"]["id"] == f"r{1 + times}"
            case _:
                spec = {"ingestion": {"schedule": f"{times} 0 1 1 *"}}

                def shows(item: Object) -> object:
                    return self.cron_job_of(item)["spec"]["schedule"] == f"{times} 0 1 1 *"

        self._edits[name] = Edit(self._api.patch(path_of(self._namespace, name), {"spec": spec}), shows)

    def cron_job_of(self, item: Object) -> Object:
        name = f"rgi-{item['metadata']['name']}-{item['metadata']['uid'][:8]}"
        return self._api.get(f"/apis/batch/v1/namespaces/{self._namespace}/cronjobs/{name}")

    def until_in_force(self, seconds: float) -> float:
        """All edits; how long it took from now on."""
        began = time.monotonic()
        for name in self.names:
            left = seconds - (time.monotonic() - began)
            self._api.until(path_of(self._namespace, name), self._edits[name].in_force, max(left, 0.1))
        return time.monotonic() - began


def in_seconds(took: Iterable[float]) -> str:
    return ", ".join(f"{seconds:.1f}" for seconds in sorted(took)) + " s"
