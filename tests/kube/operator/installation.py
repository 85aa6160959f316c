"""RagIndex in a cluster, as its chart would set it up: a release's namespace, the operator, the service, a database.

Operator and service are processes of this machine; what Jobs run, the pretend node starts. The embedding model is the
OpenAI-compatible one that has no model behind it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.kube.harness.api import Api, Object
from tests.kube.harness.control_plane import free_ports

from ragindex_db.engine import Database
from ragindex_providers.testing.openai_server import FakeOpenAIServer

MODEL = {"provider": "OpenAI", "model": "words", "dimensions": 32}
RAGINDEX = str(Path(sys.executable).with_name("ragindex"))


def rag_index(name: str, namespace: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A RagIndex over the ConfigMap of its name; ``spec`` is laid over that."""
    return {
        "apiVersion": "ragindex.io/v1alpha1",
        "kind": "RagIndex",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {"embedding": MODEL, "sources": [{"name": "notes", "configMap": {"name": name}}], **spec},
    }


def path_of(namespace: str, name: str | None = None) -> str:
    return f"/apis/ragindex.io/v1alpha1/namespaces/{namespace}/ragindexes" + (f"/{name}" if name else "")


def reason(item: Object | None, type_: str) -> str:
    """``True/Serving``; empty when the condition is not there yet."""
    for condition in ((item or {}).get("status") or {}).get("conditions", []):
        if condition["type"] == type_:
            return f"{condition['status']}/{condition['reason']}"
    return ""


def up_to_date(item: Object | None) -> bool:
    """What the documentation says to wait for: of this generation, nothing is left to do."""
    status = (item or {}).get("status") or {}
    seen = status.get("observedGeneration") == (item or {}).get("metadata", {}).get("generation")
    return seen and reason(item, "Progressing") == "False/UpToDate"


@dataclass
class Process:
    """``ragindex operator`` or ``ragindex api``, started as their containers start them."""

    popen: subprocess.Popen[bytes]
    log: Path
    port: int

    @property
    def pid(self) -> int:
        return self.popen.pid

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)  # one that a test stopped cannot end
            self.popen.terminate()
            try:
                self.popen.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()

    def rss_mib(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Installation:
    """``namespace`` is the release's; objects live in namespaces of their own, or there too."""

    api: Api
    kubeconfig: Path
    namespace: str
    database_url: str
    database: Database
    folder: Path
    models: FakeOpenAIServer
    name: str = field(default_factory=lambda: f"i{uuid.uuid4().hex[:8]}")
    processes: list[Process] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)

    def set_up(self) -> None:
        """What the chart makes beside the operator."""
        worker = {
            "RAGINDEX_INSTALLATION": self.name,
            "RAGINDEX_ENDPOINTS": json.dumps({"words": {"base_url": self.models.base_url}}),
            "RAGINDEX_WORKER_THREADS": "2",
        }
        self._make("configmaps", {"kind": "ConfigMap", "metadata": {"name": "ragindex"}})
        self._make("configmaps", {"kind": "ConfigMap", "metadata": {"name": "ragindex-worker"}, "data": worker})
        secret = {"RAGINDEX_DATABASE_URL": self.database_url}
        self._make("secrets", {"kind": "Secret", "metadata": {"name": "ragindex-worker"}, "stringData": secret})
        self._make("serviceaccounts", {"kind": "ServiceAccount", "metadata": {"name": "ragindex-worker"}})

    def _make(self, plural: str, body: Object) -> None:
        self.api.create(f"/api/v1/namespaces/{self.namespace}/{plural}", {"apiVersion": "v1", **body})

    def write_notes(self, name: str, entries: Mapping[str, str], namespace: str | None = None) -> None:
        """The ConfigMap that ``rag_index(name)`` reads, made or replaced."""
        where = f"/api/v1/namespaces/{namespace or self.namespace}/configmaps"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(entries)}
        if self.api.answers(f"{where}/{name}"):
            self.api.replace(f"{where}/{name}", body)
        else:
            self.api.create(where, body)

    def operator(self, *, kubeconfig: Path | None = None, **settings: str) -> Process:
        """One more; ``settings`` are variables without their prefix: ``max_active_pods="2"``."""
        (port,) = free_ports(1)
        return self._start("operator", port, self._of_operator(port, kubeconfig) | _upper(settings))

    def look(self, *arguments: str) -> str:
        """What ``ragindex operator`` prints that looks and ends."""
        (port,) = free_ports(1)
        command = [RAGINDEX, "operator", *arguments]
        environment = self._environment(self._of_operator(port, None))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def _of_operator(self, port: int, kubeconfig: Path | None) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "INSTALLATION": self.name,
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "RELEASE_NAMESPACE": self.namespace,
            "NAMESPACES": json.dumps([self.namespace]),  # objects of other tests are not its own
            "WORKER": json.dumps({"image": "ragindex"}),
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }

    def service(self) -> Process:
        port, metrics_port = free_ports(2)
        process = self._start(
            "api",
            port,
            {
                "DATABASE_URL": self.database_url,
                "INSTALLATION": self.name,
                "ENDPOINTS": json.dumps({"words": {"base_url": self.models.base_url}}),
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "METRICS_HOST": "127.0.0.1",
                "METRICS_PORT": str(metrics_port),
            },
        )
        wait_for(lambda: _answers(process, "/readyz"), "the service", 60, process)
        return process

    def worker(self) -> Process:
        """One for all indexes, which goes on until it is stopped."""
        endpoints = json.dumps({"words": {"base_url": self.models.base_url}})
        variables = {"DATABASE_URL": self.database_url, "INSTALLATION": self.name, "ENDPOINTS": endpoints}
        return self._start("worker", 0, variables)

    def _start(self, command: str, port: int, variables: Mapping[str, str]) -> Process:
        log = self.folder / f"{command}-{len(self.processes)}.log"
        environment = self._environment(variables)
        with log.open("wb") as output:
            popen = subprocess.Popen([RAGINDEX, command], env=environment, stdout=output, stderr=output)
        self.processes.append(Process(popen, log, port))
        return self.processes[-1]

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return environment | {f"RAGINDEX_{key}": value for key, value in variables.items()}

    def close(self) -> None:
        for process in self.processes:
            process.stop()


def _upper(settings: Mapping[str, str]) -> dict[str, str]:
    return {key.upper(): value for key, value in settings.items()}


def _answers(process: Process, path: str) -> bool:
    try:
        return process.get(path).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def wait_for(holds: Callable[[], object], what: str, seconds: float, process: Process | None = None) -> float:
    """Looks until it holds, and gives how long that took; for what tells of itself in no other way."""
    began = time.monotonic()
    while not holds():
        if process is not None and process.popen.poll() is not None:
            raise AssertionError(f"{what}: the process ended\n{process.said()[-4000:]}")
        if time.monotonic() - began > seconds:
            last = process.said()[-4000:] if process is not None else ""
            raise AssertionError(f"{what} did not come within {seconds:.0f} s\n{last}")
        time.sleep(0.1)
    return time.monotonic() - began
