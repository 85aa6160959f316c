"""A pretend node: runs the first container of each pod as a process of this machine and tells the API server truly.

It also does the scheduler's part, for the pods of some namespaces. There is no container around the process:
images, volumes and security contexts are not looked at, and pods are never restarted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from tests.kube.harness import pods
from tests.kube.harness.api import STRATEGIC, Api, ApiError, Gone, Object
from tests.kube.harness.processes import Processes, end, send

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_LEASE_SECONDS = 10
_RETRY_SECONDS = 0.3
_START_ERROR = 128


@dataclass(slots=True)
class _Run:
    """A pod that was begun here."""

    pod: Object
    lock: threading.Lock = field(default_factory=threading.Lock)
    process: subprocess.Popen[bytes] | None = None
    to_end: threading.Event = field(default_factory=threading.Event)
    ended: bool = False

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    def end(self, grace_seconds: float) -> None:
        """Once is enough: ask the process to end, and make it after the grace period."""
        with self.lock:
            if self.process and not self.to_end.is_set():
                threading.Thread(target=end, args=(self.process, grace_seconds)).start()
            self.to_end.set()


class ProcessKubelet:
    """``programs`` says which program a command's first word stands for; ``environment`` is what every process sees."""

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        name: str = "pretend-node",
        programs: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        most_processes: int = 16,
    ) -> None:
        self.name = name
        self.folder = folder
        self._programs = dict(programs or {})
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **(environment or {})}
        self._labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        self.namespaces: set[str] = set()  # whose pods it takes
        self._runs: dict[str, _Run] = {}
        self._api = Api(kubeconfig)
        self._processes = Processes()
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(most_processes, "pod")
        self._lives: list[Future[None]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._register()
        works = (self._beat, self._follow)
        self._threads = [threading.Thread(target=self._until_closed, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing.set()
        for run in self._alive():
            run.end(0)
            if run.process:
                send(run.process, signal.SIGKILL)
        self._pool.shutdown(cancel_futures=True)
        for thread in self._threads:
            thread.join()
        self._processes.close()
        self._api.close()
        for life in self._lives:
            if not life.cancelled():
                life.result()

    def log_of(self, namespace: str, pod: str) -> str:
        path = self._log(namespace, pod)
        return path.read_text(errors="replace") if path.exists() else ""

    def running(self, namespace: str) -> list[str]:
        """The names of the pods whose process is alive."""
        return sorted(run.name for run in self._alive() if run.process and run.namespace == namespace)

    def kill_pod(self, namespace: str, name: str, *, disrupted: bool = False) -> None:
        """SIGKILL its processes; ``disrupted`` tells first that the pod is not to blame, as an eviction does."""
        (run,) = (run for run in self._alive() if (run.namespace, run.name) == (namespace, name))
        assert run.process is not None, f"{namespace}/{name} has not begun"
        if disrupted:
            self._tell(run.pod, {"conditions": [pods.condition("DisruptionTarget", "True", "EvictionByEvictionAPI")]})
        send(run.process, signal.SIGKILL)

    def _alive(self) -> list[_Run]:
        return [run for run in list(self._runs.values()) if not run.ended]

    def _register(self) -> None:
        capacity = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
        with contextlib.suppress(ApiError):  # it is there already
            self._api.create("/api/v1/nodes", {"metadata": {"name": self.name, "labels": self._labels}})
        conditions = [pods.condition("Ready", "True", "KubeletReady")]
        status = {"capacity": capacity, "allocatable": capacity, "conditions": conditions}
        self._api.patch(f"/api/v1/nodes/{self.name}/status", {"status": status}, STRATEGIC)

    def _beat(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 4 * _LEASE_SECONDS, "renewTime": now}
        try:
            self._api.patch(f"{_LEASES}/{self.name}", {"spec": spec})
        except ApiError:
            self._api.create(_LEASES, {"metadata": {"name": self.name}, "spec": spec})
        self._closing.wait(_LEASE_SECONDS)

    def _follow(self) -> None:
        """Attend to what there is and to what changes for some seconds, after which nothing missed stays missed."""
        listed = self._api.get("/api/v1/pods")
        for pod in listed["items"]:
            self._attend(pod)
        for uid in set(self._runs) - {pod["metadata"]["uid"] for pod in listed["items"]}:
            self._forget(uid)
        version = listed["metadata"]["resourceVersion"]
        for kind, pod in self._api.watch("/api/v1/pods", version, timeoutSeconds=5):
            if self._closing.is_set():
                return
            if kind == "DELETED":
                self._forget(pod["metadata"]["uid"])
            else:
                self._attend(pod)

    def _attend(self, pod: Object) -> None:
        """Bring what is here in line with what the pod says."""
        metadata, spec = pod["metadata"], pod["spec"]
        run = self._runs.get(metadata["uid"])
        leaving = "deletionTimestamp" in metadata
        if not spec.get("nodeName"):
            fits = spec.get("nodeSelector", {}).items() <= self._labels.items()
            if fits and metadata["namespace"] in self.namespaces and not leaving and not spec.get("schedulingGates"):
                self._bind(pod)
        elif spec["nodeName"] != self.name:
            return
        elif leaving:
            if run:
                run.end(metadata.get("deletionGracePeriodSeconds", 0))
            if run is None or run.process is None or run.ended:
                self._delete(pod)
        elif run is None and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            self._runs[metadata["uid"]] = run = _Run(pod)
            self._lives.append(self._pool.submit(self._live, run))

    def _forget(self, uid: str) -> None:
        run = self._runs.get(uid)
        if run and run.ended:
            del self._runs[uid]
        elif run:
            run.end(0)

    def _bind(self, pod: Object) -> None:
        node = {"apiVersion": "v1", "kind": "Node", "name": self.name}
        binding = {"metadata": {"name": pod["metadata"]["name"]}, "target": node}
        with contextlib.suppress(ApiError):  # gone, or bound already: the next event tells
            self._api.create(f"{pods.path_of(pod)}/binding", binding)

    def _live(self, run: _Run) -> None:
        """The life of a pod, from its process' start to what its end means for it."""
        pod, begun = run.pod, pods.now()
        failure = self._start(run)
        if run.process:
            self._tell(pod, pods.status(pod, "Running", begun, {"running": {"startedAt": begun}}))
            code = self._processes.wait(run.process)
            code = 128 - code if code < 0 else code
            ended = {"exitCode": code, "reason": "Error" if code else "Completed"}
        else:
            ended = {"exitCode": _START_ERROR, "reason": "StartError", "message": failure}
        ended |= {"startedAt": begun, "finishedAt": pods.now()}
        self._tell(pod, pods.status(pod, "Failed" if ended["exitCode"] else "Succeeded", begun, {"terminated": ended}))
        with run.lock:
            run.ended = True
        if run.to_end.is_set():
            self._delete(pod)

    def _start(self, run: _Run) -> str:
        """Start the process as soon as what it needs is there; say why there is none, if so."""
        pod, container = run.pod, run.pod["spec"]["containers"][0]
        while not (run.process or run.to_end.is_set()):
            try:
                environment = self._environment | pods.environment_of(pod, container, self._reader(run.namespace))
                command = pods.command_of(container, environment)
                command[:1] = [self._programs.get(word, word) for word in command[:1]]
                folder, log = Path(container.get("workingDir", self.folder)), self._log(run.namespace, run.name)
                with run.lock:
                    if not run.to_end.is_set():
                        run.process = self._processes.start(command, log, environment, folder)
            except pods.CannotStart as error:
                waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
                self._tell(pod, pods.status(pod, "Pending", pods.now(), {"waiting": waiting}))
                run.to_end.wait(_RETRY_SECONDS)
            except (OSError, IndexError) as error:
                return f"{container.get('command')}: {error}"
        return "it was deleted before it began"

    def _reader(self, namespace: str) -> pods.Read:
        def read(plural: str, name: str) -> dict[str, str] | None:
            found = self._api.insist(self._closing, "GET", f"/api/v1/namespaces/{namespace}/{plural}/{name}")
            return None if found is None else pods.data_of(found)

        return read

    def _tell(self, pod: Object, status: Object) -> None:
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        self._api.insist(self._closing, "PATCH", f"{pods.path_of(pod)}/status", body, STRATEGIC)

    def _delete(self, pod: Object) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        self._api.insist(self._closing, "DELETE", pods.path_of(pod), body)

    def _until_closed(self, work: Callable[[], None]) -> None:
        while not self._closing.is_set():
            try:
                work()
            except (httpx2.TransportError, ApiError, Gone):
                self._closing.wait(_RETRY_SECONDS)

    def _log(self, namespace: str, pod: str) -> Path:
        return self.folder / namespace / f"{pod}.log"
