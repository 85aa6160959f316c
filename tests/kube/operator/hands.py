"""Does at once, on a thread of the tests' own, what the pods of one namespace would do as processes: the worker's real
parts carry out runs and drain queues, and each pod is told to have succeeded."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import httpx2
from tests.kube.harness import pods
from tests.kube.harness.api import STRATEGIC, Api, ApiError, Gone, Object

from ragindex_core.document import ParsedDocument
from ragindex_core.errors import RagIndexError
from ragindex_core.object.sources import SourceSpec
from ragindex_core.object.spec import RagIndexSpec
from ragindex_core.ports import Embedder, Source
from ragindex_core.testing.embedder import HashEmbedder
from ragindex_db import indexes
from ragindex_db.engine import Database
from ragindex_db.indexes import IndexRow
from ragindex_db.revisions import RevisionRow
from ragindex_worker.listing import list_once
from ragindex_worker.loop import Worker, WorkerSettings
from ragindex_worker.opening import open_any_source
from ragindex_worker.parsing.limits import ParseLimits
from ragindex_worker.parsing.parse import parse_file
from ragindex_worker.parsing.sandbox import Sandbox
from ragindex_worker.pipeline import Pipeline
from ragindex_worker.steps import Steps

_WATCH_SECONDS = 5
_NODE = "in-the-tests"


class _InThisProcess(Sandbox):
    """What is parsed here is harmless, and a process for each document costs a second."""

    def parse(self, path: Path, name: str) -> ParsedDocument:
        return parse_file(path, name, ParseLimits())


class _QuickWorker(Worker):
    def _document_loop(self) -> None:
        self._work_off(Pipeline(self._database, _InThisProcess(), self._settings.scratch, self._steps.stopping))


class Hands:
    """Works from its making until ``close``."""

    def __init__(self, api: Api, namespace: str, installation: str, database: Database, scratch: Path) -> None:
        self._api = api
        self._where = f"/api/v1/namespaces/{namespace}/pods"
        self._installation = installation
        self._database = database
        self._scratch = scratch
        self._embedder = HashEmbedder(32, model="words")
        self._done: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"hands of {namespace}")
        self._thread.start()

    def close(self) -> None:
        """Nobody else takes away what was bound here."""
        self._closing.set()
        self._thread.join()
        self._api.delete(self._where, {"gracePeriodSeconds": 0})

    def of(self, _revision: RevisionRow, _spec: RagIndexSpec) -> Embedder:
        return self._embedder

    def _work(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(Gone):
                listed = self._api.get(self._where)
                for pod in listed["items"]:
                    self._attend(pod)
                version = listed["metadata"]["resourceVersion"]
                for kind, pod in self._api.watch(self._where, version, timeoutSeconds=_WATCH_SECONDS):
                    if self._closing.is_set():
                        return
                    if kind != "DELETED":
                        self._attend(pod)

    def _attend(self, pod: Object) -> None:
        metadata = pod["metadata"]
        if metadata["uid"] in self._done or pod["spec"].get("nodeName"):
            return
        with contextlib.suppress(ApiError, httpx2.TransportError):  # it is gone, or the pretend node was faster
            self._bind(pod)
            self._done.add(metadata["uid"])
            begun, code = pods.now(), self._ended(pod["spec"]["containers"][0]["args"])
            ended = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": pods.now()}
            told = pods.status(pod, "Failed" if code else "Succeeded", begun, {"terminated": ended})
            body = {"metadata": {"uid": metadata["uid"]}, "status": told}
            self._api.patch(f"{pods.path_of(pod)}/status", body, STRATEGIC)

    def _bind(self, pod: Object) -> None:
        """Before the pretend node does, which takes every pod that no one has."""
        target = {"apiVersion": "v1", "kind": "Node", "name": _NODE}
        self._api.create(
            f"{pods.path_of(pod)}/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": target}
        )

    def _ended(self, arguments: list[str]) -> int:
        """The exit code that a worker with these arguments would have."""
        namespace, _, name = arguments[-1].partition("/")
        try:
            found = self._database.run(indexes.find, self._installation, namespace, name)
            if "--list" in arguments:
                return 0 if list_once(self._database, self._open, Steps(), found.id) else 1
            settings = WorkerSettings(self._scratch, threads=1, index_id=found.id, lists=False, drain=True)
            return 0 if _QuickWorker(self._database, self, _no_other, settings).run() else 1
        except RagIndexError:
            return 1

    def _open(self, index: IndexRow, source: SourceSpec) -> Source:
        return open_any_source(self._database, _no_other, index, source)


def _no_other(index: IndexRow, source: SourceSpec) -> Source:
    raise AssertionError(f"source {source.name} of {index.full_name} is none that lies in the database")
