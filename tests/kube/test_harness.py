"""The harness keeps what it promises to the tests that stand on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.kube.harness.api import Api, Object
from tests.kube.harness.api_proxy import ApiProxy
from tests.kube.harness.control_plane import ControlPlane
from tests.kube.harness.kubectl import Kubectl, KubectlError
from tests.kube.harness.process_kubelet import ProcessKubelet


def job(script: str, **spec: Any) -> Object:
    """A Job whose one container is a line of shell."""
    container = {"name": "main", "image": "none", "command": ["sh", "-c", script], **spec.pop("container", {})}
    pod = {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 5}
    template = {"spec": pod | spec.pop("pod", {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", **spec.pop("metadata", {})},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


def jobs(namespace: str, name: str = "work") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"


def has(condition: str) -> Any:
    """Whether an object has a condition that is True."""

    def holds(item: Object) -> bool:
        conditions = item["status"].get("conditions", [])
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)

    return holds


def pods_of(api: Api, namespace: str) -> list[Object]:
    found: list[Object] = api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector="job-name=work")["items"]
    return found


def running_pod(api: Api, node: ProcessKubelet, namespace: str) -> str:
    """The name of the Job's one pod, once its process runs."""
    api.until(jobs(namespace), lambda item: item["status"].get("ready"))
    (name,) = node.running(namespace)
    return name


@pytest.mark.usefixtures("node")
class TestPods:
    def test_a_job_runs_to_completion_as_a_process(
        self, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str
    ) -> None:
        settings = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings"},
            "data": {"COLOUR": "blue"},
        }
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"key": "open"}}
        container = {
            "args": ["$(POD)"],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "SESAME", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
                {"name": "BOTH", "value": "$(SESAME)-$(POD)"},
            ],
        }
        kubectl.apply(settings, secret, job('echo "$0 $COLOUR $BOTH"', container=container), namespace=namespace)

        api.until(jobs(namespace), has("Complete"))

        (pod,) = pods_of(api, namespace)
        name = pod["metadata"]["name"]
        assert node.log_of(namespace, name) == f"{name} blue open-{name}\n"
        assert pod["status"]["phase"] == "Succeeded"
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0

    def test_the_command_of_this_checkout_runs(
        self, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str
    ) -> None:
        container = {"command": ["ragindex", "--help"]}
        kubectl.apply(job("", container=container), namespace=namespace)

        api.until(jobs(namespace), has("Complete"))

        (pod,) = pods_of(api, namespace)
        assert "ragindex" in node.log_of(namespace, pod["metadata"]["name"])

    def test_a_pod_waits_for_the_config_map_it_needs(self, api: Api, kubectl: Kubectl, namespace: str) -> None:
        container = {"envFrom": [{"configMapRef": {"name": "late"}}]}
        kubectl.apply(job('test "$COLOUR" = red', container=container), namespace=namespace)
        api.until(jobs(namespace), lambda item: item["status"].get("active"))
        (pod,) = pods_of(api, namespace)
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        api.until(path, lambda item: "CreateContainerConfigError" in json.dumps(item))

        late = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"COLOUR": "red"}}
        kubectl.apply(late, namespace=namespace)

        api.until(jobs(namespace), has("Complete"))

    def test_a_failing_job_reports_its_exit_code(self, api: Api, kubectl: Kubectl, namespace: str) -> None:
        kubectl.apply(job("exit 3"), namespace=namespace)

        api.until(jobs(namespace), has("Failed"))

        (pod,) = pods_of(api, namespace)
        assert pod["status"]["phase"] == "Failed"
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3

    def test_a_program_that_is_not_there_fails_its_pod(self, api: Api, kubectl: Kubectl, namespace: str) -> None:
        kubectl.apply(job("", container={"command": ["no-such-program"]}), namespace=namespace)

        api.until(jobs(namespace), has("Failed"))

        (pod,) = pods_of(api, namespace)
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "StartError"

    def test_a_failure_policy_sees_exit_code_42(self, api: Api, kubectl: Kubectl, namespace: str) -> None:
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
        kubectl.apply(job("exit 42", backoffLimit=5, podFailurePolicy={"rules": [rule]}), namespace=namespace)

        failed = api.until(jobs(namespace), has("Failed"))

        assert {each["reason"] for each in failed["status"]["conditions"]} == {"PodFailurePolicy"}
        assert len(pods_of(api, namespace)) == 1

    def test_a_killed_pod_has_failed(self, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str) -> None:
        kubectl.apply(job("sleep 600 & sleep 600"), namespace=namespace)
        name = running_pod(api, node, namespace)

        node.kill_pod(namespace, name)

        api.until(jobs(namespace), has("Failed"))
        (pod,) = pods_of(api, namespace)
        assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137

    @pytest.mark.long
    def test_a_failure_policy_forgives_a_disruption(
        self, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str, tmp_path: Path
    ) -> None:
        """With no failure allowed, the Job still completes, as only the first pod sleeps and it was disrupted."""
        rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        script = f"mkdir {tmp_path}/first && exec sleep 600; true"
        kubectl.apply(job(script, podFailurePolicy={"rules": [rule]}), namespace=namespace)
        name = running_pod(api, node, namespace)

        node.kill_pod(namespace, name, disrupted=True)

        killed = api.until(
            f"/api/v1/namespaces/{namespace}/pods/{name}", lambda item: item["status"]["phase"] == "Failed"
        )
        assert killed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
        api.until(jobs(namespace), has("Complete"), seconds=60)

    def test_deletion_ends_the_process_gently(
        self, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str
    ) -> None:
        kubectl.apply(
            job("trap 'echo asked; exit 0' TERM; echo begun; while true; do sleep 0.1; done"), namespace=namespace
        )
        name = running_pod(api, node, namespace)

        kubectl("delete", "job", "work", f"--namespace={namespace}", "--wait=false")

        api.until_gone(f"/api/v1/namespaces/{namespace}/pods/{name}")
        assert node.log_of(namespace, name) == "begun\nasked\n"
        assert node.running(namespace) == []

    def test_deletion_ends_a_process_that_will_not(
        self, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str
    ) -> None:
        pod = {"terminationGracePeriodSeconds": 1}
        kubectl.apply(job("trap '' TERM; while true; do sleep 0.1; done", pod=pod), namespace=namespace)
        name = running_pod(api, node, namespace)

        kubectl("delete", "job", "work", f"--namespace={namespace}", "--wait=false")

        api.until_gone(f"/api/v1/namespaces/{namespace}/pods/{name}")
        assert node.running(namespace) == []

    def test_a_job_is_made_of_a_cron_job(self, api: Api, kubectl: Kubectl, namespace: str) -> None:
        kubectl.apply(cron_job("0 0 1 1 *"), namespace=namespace)

        kubectl("create", "job", "work", "--from=cronjob/nightly", f"--namespace={namespace}")

        api.until(jobs(namespace), has("Complete"))

    @pytest.mark.long
    def test_a_cron_job_fires(self, api: Api, kubectl: Kubectl, namespace: str) -> None:
        kubectl.apply(cron_job("* * * * *"), namespace=namespace)

        path = f"/apis/batch/v1/namespaces/{namespace}/cronjobs/nightly"
        api.until(path, lambda item: item["status"].get("lastSuccessfulTime"), seconds=100)


def cron_job(schedule: str) -> Object:
    spec = {"schedule": schedule, "jobTemplate": {"spec": job("true")["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}


class TestControlPlane:
    def test_what_an_owner_leaves_behind_is_collected(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        owner = api.create(path, {"metadata": {"name": "owner"}})
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        api.create(path, {"metadata": {"name": "owned", "ownerReferences": [reference]}})

        api.delete(f"{path}/owner")

        api.until_gone(f"{path}/owned")

    def test_a_deleted_namespace_goes(self, api: Api, namespace: str) -> None:
        api.delete(f"/api/v1/namespaces/{namespace}")

        api.until_gone(f"/api/v1/namespaces/{namespace}")

    def test_a_service_account_may_do_what_it_was_given(
        self, own_control_plane: ControlPlane, kubectl: Kubectl, namespace: str
    ) -> None:
        kubectl("create", "serviceaccount", "reader", f"--namespace={namespace}")
        kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps", f"--namespace={namespace}")
        account = f"--serviceaccount={namespace}:reader"
        kubectl("create", "rolebinding", "reader", "--role=reader", account, f"--namespace={namespace}")

        reader = kubectl.acting_as(own_control_plane.kubeconfig_for("reader", namespace))

        names = [
            item["metadata"]["name"] for item in reader.json("get", "configmaps", f"--namespace={namespace}")["items"]
        ]
        assert names in ([], ["kube-root-ca.crt"])
        with pytest.raises(KubectlError, match="forbidden"):
            reader("get", "secrets", f"--namespace={namespace}")

    def test_every_write_is_known(self, own_control_plane: ControlPlane, kubectl: Kubectl, namespace: str) -> None:
        reader = kubectl.acting_as(own_control_plane.kubeconfig_for("default", namespace))
        begun = datetime.now(UTC)

        with pytest.raises(KubectlError, match="forbidden"):
            reader("get", "configmaps", f"--namespace={namespace}")
        with pytest.raises(KubectlError, match="forbidden"):
            reader("create", "configmap", "mine", f"--namespace={namespace}")
        kubectl("create", "configmap", "mine", f"--namespace={namespace}")

        account = f"system:serviceaccount:{namespace}:default"
        (refused,) = own_control_plane.audit.writes(account, begun)
        assert (refused.verb, refused.status) == ("create", 403)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        by_admin = [write for write in own_control_plane.audit.writes("admin", begun) if path in write.path]
        assert [(write.verb, write.status) for write in by_admin] == [("create", 201)]

    def test_the_api_server_comes_back_with_its_data(
        self, own_control_plane: ControlPlane, api: Api, kubectl: Kubectl, node: ProcessKubelet, namespace: str
    ) -> None:
        """And a pod that ended meanwhile is told of."""
        kubectl.apply(job("sleep 1"), namespace=namespace)
        running_pod(api, node, namespace)

        own_control_plane.kill_api_server()

        with pytest.raises(httpx2.TransportError):
            api.get(jobs(namespace))
        own_control_plane.start_api_server()
        api.until(jobs(namespace), has("Complete"), seconds=60)

    def test_nothing_outlives_a_test_run_that_was_killed(self, own_control_plane: ControlPlane, tmp_path: Path) -> None:
        """A second control plane beside the first, in a process that is killed once it runs."""
        program = [sys.executable, "-c", _SECOND, str(tmp_path / "second")]
        environment = {**os.environ, "KUBEBUILDER_ASSETS": str(own_control_plane.kubectl.parent)}
        with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout is not None
            told = json.loads(second.stdout.readline())
            second.send_signal(signal.SIGKILL)

        deadline = time.monotonic() + 10
        while alive := [pid for pid in told["pids"] if _is_alive(pid)]:
            assert time.monotonic() < deadline, f"still there: {alive}"
            time.sleep(0.05)
        assert len(told["pids"]) == 3


_SECOND = """
import json, sys, time
from pathlib import Path
from tests.kube.harness import binaries
from tests.kube.harness.control_plane import ControlPlane
found = ControlPlane(binaries.find(print), Path(sys.argv[1]))
print(json.dumps({"pids": found.pids}), flush=True)
time.sleep(600)
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestProxy:
    def test_passes_everything_through(self, api_proxy: ApiProxy, kubectl: Kubectl, namespace: str) -> None:
        proxied = kubectl.acting_as(api_proxy.kubeconfig)
        kubectl("create", "configmap", "seen", f"--namespace={namespace}")

        assert proxied.json("get", "configmap", "seen", f"--namespace={namespace}")["metadata"]["name"] == "seen"
        token = kubectl.acting_as(api_proxy.kubeconfig_for("default", namespace))
        with pytest.raises(KubectlError, match=f"system:serviceaccount:{namespace}:default"):
            token("get", "secrets", f"--namespace={namespace}")

    def test_cuts_what_is_open_and_takes_what_is_new(self, api_proxy: ApiProxy, namespace: str) -> None:
        client = Api(api_proxy.kubeconfig)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        watch = client.watch(path, client.get(path)["metadata"]["resourceVersion"])
        client.create(path, {"metadata": {"name": "first"}})
        assert next(watch)[1]["metadata"]["name"] == "first"

        api_proxy.cut()

        with pytest.raises(httpx2.TransportError):
            next(watch)
        assert client.get(f"{path}/first")["metadata"]["name"] == "first"
        client.close()

    def test_loses_watch_events(self, api_proxy: ApiProxy, api: Api, namespace: str) -> None:
        client = Api(api_proxy.kubeconfig)
        api_proxy.drop_watch_events(50)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        version = client.get(path)["metadata"]["resourceVersion"]

        for number in range(40):
            api.create(path, {"metadata": {"name": f"number-{number}"}})
        seen = [item["metadata"]["name"] for _, item in client.watch(path, version, timeoutSeconds=1)]

        assert 5 < len(seen) < 35
        assert len(seen) + api_proxy.watch_events_dropped >= 40
        client.close()

    def test_holds_a_watch_silent(self, api_proxy: ApiProxy, api: Api, namespace: str) -> None:
        """Past the time at which the server ends it: what follows comes late, and not before."""
        client = Api(api_proxy.kubeconfig)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        version = client.get(path)["metadata"]["resourceVersion"]
        api_proxy.silence_watches()
        api.create(path, {"metadata": {"name": "unheard"}})
        begun = time.monotonic()
        silence = threading.Timer(2.5, api_proxy.let_watches_speak)
        silence.start()

        seen = [item["metadata"]["name"] for _, item in client.watch(path, version, timeoutSeconds=1)]

        assert time.monotonic() - begun > 2.4
        assert "unheard" in seen
        silence.join()
        client.close()
